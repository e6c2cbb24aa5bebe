"""Whether a graph computes what the trained model computes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ligero.common.errors import MismatchError
from ligero.serving.manifest import Parity
from ligero.training.evaluate import Predictions
from ligero.training.features import EncodedSplit

TOLERANCE = 1e-4
"""Largest difference of logits that counts as rounding."""


def compare(trained: Predictions, exported: Predictions, split: EncodedSplit) -> Parity:
    """Figures of the comparison of two models' logits on a split.

    An arg max may differ where two logits are closer than they can be computed: no fault of the graph, and counted.

    Raises:
        MismatchError: a logit differs by more than TOLERANCE or is none (NaN).
    """
    pairs = [
        (one, other)
        for one, other in zip(_columns(trained), _columns(exported), strict=True)
        if one.size or other.size
    ]
    # np.max, for Python's max passes a NaN over.
    difference = float(np.max([np.abs(one - other).max() for one, other in pairs]))
    choices = [(_choices(one, split), _choices(other, split)) for one, other in pairs]
    unequal = sum(int((one != other).sum()) for one, other in choices)
    if not difference <= TOLERANCE:  # NaN is refused too
        raise MismatchError(
            f"the exported graph does not compute what the trained model does: on {len(split)} features logits differ by up "
            f"to {difference:.2e} (allowed are {TOLERANCE:.0e}) and {unequal} arg max. Nothing was written."
        )
    return {
        "features": len(split),
        "decisions": sum(len(one) for one, _ in choices),
        "unequal_decisions": unequal,
        "largest_difference": difference,
        "tolerance": TOLERANCE,
    }


def _columns(predictions: Predictions) -> tuple[Any, Any, Any]:
    return predictions.logits, predictions.start, predictions.end


def _choices(logits: Any, split: EncodedSplit) -> Any:
    """The arg max of each row; of flat columns of positions, that of each feature."""
    if logits.ndim == 2:
        return logits.argmax(axis=1)
    bounds = zip(split.offsets[:-1].tolist(), split.offsets[1:].tolist(), strict=True)
    return np.array([int(logits[low:high].argmax()) for low, high in bounds])
