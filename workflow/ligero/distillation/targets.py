"""A batch's teacher logits, gathered from the cache by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ligero.common.errors import MismatchError
from ligero.distillation.alignment import Alignment, Pairs
from ligero.distillation.token_layout import Ints, ragged_indices
from ligero.training.features import Batch

Logits = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class TokenTargets:
    """Teacher logits for P tokens of a batch, on the batch's device.

    Attributes:
        items: int64 [P], which feature of the batch.
        positions: int64 [P], which token of it.
        logits: float32 [P, C] for labels, [P] for one of question answering's two distributions.
    """

    items: Tensor
    positions: Tensor
    logits: Tensor


class Targets(Protocol):
    """Teacher logits, already aligned with the student's features."""

    alignment: Alignment

    def __call__(self, batch: Batch) -> tuple[TokenTargets, ...]:
        """One for labels; start and end for question answering."""
        ...


class CachedTargets:
    """Gathers from cached logits.

    Args:
        alignment: from `alignment.align`.
        logits: [N, C], the teacher's entries; may be memory-mapped, only what a batch needs is read. Question answering has the
            start logit in column 0 and the end logit in column 1.
    """

    def __init__(self, alignment: Alignment, logits: Logits) -> None:
        self.alignment = alignment
        self._logits = logits

    def __call__(self, batch: Batch) -> tuple[TokenTargets, ...]:
        rows = batch.rows.numpy()
        device = batch.input_ids.device
        found = []
        for number, pairs in enumerate(self.alignment.pairs):
            indices, items = ragged_indices(pairs.offsets, rows)
            values = self._logits[pairs.sources[indices]]
            if len(self.alignment.pairs) == 2:
                values = values[:, number]
            found.append(
                token_targets(
                    pairs, indices, items, torch.from_numpy(np.ascontiguousarray(values, np.float32)), device
                )
            )
        return tuple(found)


def check_classes(logits: Logits, labels: int, task_type: str) -> None:
    """The cache must have one logit a label (two for question answering).

    Raises:
        MismatchError: it has another number.
    """
    expected = 2 if task_type == "question_answering" else labels
    if logits.shape[-1] != expected:
        raise MismatchError(
            f"cached logits have {logits.shape[-1]} classes, the task has {expected}; build them again"
        )


def token_targets(
    pairs: Pairs, indices: Ints, items: Ints, logits: Tensor, device: torch.device
) -> TokenTargets:
    return TokenTargets(
        items=torch.from_numpy(items).to(device, non_blocking=True),
        positions=torch.from_numpy(pairs.positions[indices].astype(np.int64)).to(device, non_blocking=True),
        logits=logits.to(device, non_blocking=True),
    )
