"""Confidence intervals and a paired test by bootstrap over examples (Efron and Tibshirani 1993; Berg-Kirkpatrick et al. 2012)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ligero.common.errors import MismatchError

SAMPLES = 1000
_CELLS_AT_A_TIME = 4_000_000
"""Bounds the memory of the resampling weights: [samples, examples] are drawn in blocks of this many cells."""


def _weights(examples: int, samples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Blocks [n, examples] of how often each example is drawn; the samples do not depend on the block size."""
    generator = np.random.default_rng(seed)
    block = max(1, _CELLS_AT_A_TIME // max(examples, 1))
    for start in range(0, samples, block):
        drawn = generator.integers(0, examples, size=(min(block, samples - start), examples))
        yield np.stack([np.bincount(row, minlength=examples) for row in drawn]).astype(np.float64)


def bootstrap(
    units: NDArray[np.float64],
    statistics: Sequence[Callable[[NDArray[np.float64]], NDArray[np.float64]]],
    *,
    seed: int = 42,
    samples: int = SAMPLES,
) -> list[tuple[float, float]]:
    """95 % percentile intervals of statistics of summed counts.

    Args:
        units: counts of each example, [examples, counts].
        statistics: from summed counts [samples, counts] to values [samples].

    Returns:
        (low, high) of each statistic, in its own unit.
    """
    sums = np.concatenate([weights @ units for weights in _weights(len(units), samples, seed)])
    return [interval(statistic(sums)) for statistic in statistics]


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """95 % percentile interval of one figure over its resamples, [samples]."""
    tail = 100 * (1 - 0.95) / 2
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)


def resampled(
    units: Sequence[NDArray[np.float64]],
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    seed: int = 42,
    samples: int = SAMPLES,
) -> NDArray[np.float64]:
    """A statistic of several systems on the same resampled examples, [systems, samples]: pair them column by column.

    Args:
        units: counts of each example, [examples, counts], one array for each system.

    Raises:
        MismatchError: the systems were scored on different numbers of examples.
    """
    for other in units:
        if other.shape != units[0].shape:
            raise MismatchError(
                f"paired resampling: {len(units[0])} examples of one system, {len(other)} of another"
            )
    blocks = [
        np.stack([statistic(weights @ counts) for counts in units])
        for weights in _weights(len(units[0]), samples, seed)
    ]
    return np.concatenate(blocks, axis=1)


@dataclass(frozen=True)
class PairedTest:
    """Outcome of a paired bootstrap between two systems on the same examples."""

    difference: float
    """Second system's figure minus the first's."""
    low: float
    high: float
    """95 % interval of the difference."""
    p_value: float
    """Two-sided: how often resampling gives the difference another sign."""


def paired_bootstrap(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    seed: int = 42,
    samples: int = SAMPLES,
) -> PairedTest:
    """Whether the second system is better: both are scored on the same resampled examples.

    Raises:
        MismatchError: the systems were scored on different numbers of examples.
    """
    one, other = resampled([first, second], statistic, seed=seed, samples=samples)
    differences = other - one
    low, high = np.percentile(differences, [2.5, 97.5])
    # One is added to both counts, so that a p-value is never claimed to be smaller than the samples can show.
    one_sided = min(np.sum(differences <= 0), np.sum(differences >= 0)) + 1
    return PairedTest(
        difference=float(statistic(second.sum(axis=0)) - statistic(first.sum(axis=0))),
        low=float(low),
        high=float(high),
        p_value=float(min(1.0, 2 * one_sided / (samples + 1))),
    )
