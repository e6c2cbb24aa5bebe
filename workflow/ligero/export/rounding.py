"""Weights rounded to int8 so that products keep their values, instead of each weight to the nearest number."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ligero.export.encoder import WEIGHT_LEVELS, quantised

DAMPING = 0.01
"""Share that is added to each input's second moment, so that inputs that always move together do not make the matrix singular."""
_BLOCK = 128


def compensated(weights: NDArray[np.float32], moments: NDArray[np.float32]) -> NDArray[np.int8]:
    """Round a weight column by column, and correct the columns that are left for the error made so far.

    The scale of each output is that of rounding to the nearest; what changes is which of the two neighbours a weight takes. Of the
    squared error of the products over the inputs seen in calibration, this is a greedy minimum: GPTQ (Frantar et al., ICLR
    2023, algorithm 1), columns with the largest inputs first.

    Args:
        weights: [outputs, inputs].
        moments: sum of x xᵀ over inputs x, [inputs, inputs].

    Returns:
        Whole numbers in -WEIGHT_LEVELS..WEIGHT_LEVELS, [outputs, inputs].
    """
    scales = quantised(weights, WEIGHT_LEVELS, axis=1)[1][:, 0].astype(np.float64)
    hessian = moments.astype(np.float64)
    diagonal = np.diag_indices(len(hessian))
    seen = hessian[diagonal]
    hessian[diagonal] = np.where(
        seen > 0, (1 + DAMPING) * seen, 1.0
    )  # an input that is always 0 is any number
    order = np.argsort(-hessian[diagonal], kind="stable")
    upper = np.linalg.cholesky(np.linalg.inv(hessian[np.ix_(order, order)])).T
    left = weights[:, order] / scales[:, None].astype(np.float64)
    rounded = np.empty(left.shape, np.int8)
    for start in range(0, len(order), _BLOCK):
        stop = min(start + _BLOCK, len(order))
        errors = np.empty((len(left), stop - start))
        for column in range(start, stop):
            chosen = np.clip(np.rint(left[:, column]), -WEIGHT_LEVELS, WEIGHT_LEVELS)
            rounded[:, order[column]] = chosen
            error = (left[:, column] - chosen) / upper[column, column]
            left[:, column + 1 : stop] -= np.outer(error, upper[column, column + 1 : stop])
            errors[:, column - start] = error
        left[:, stop:] -= errors @ upper[start:stop, stop:]
    return rounded
