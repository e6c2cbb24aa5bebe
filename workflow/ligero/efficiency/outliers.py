"""Outliers among timings, by the modified z-score (Iglewicz and Hoaglin 1993, "How to Detect and Handle Outliers")."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median

NORMAL_QUARTILE = 0.6745
"""Third quartile of the standard normal: makes the median absolute deviation comparable to a standard deviation."""
MEAN_DEVIATION_FACTOR = 1.253314
"""sqrt(pi / 2): the same for the mean absolute deviation, used where more than half of the values are equal."""


def modified_z_scores(values: Sequence[float]) -> list[float]:
    """Modified z-score of each value: 0.6745 * (x - median) / MAD; 0 for all where all values are equal."""
    centre = median(values)
    deviations = [abs(value - centre) for value in values]
    scale = median(deviations) / NORMAL_QUARTILE or fmean(deviations) * MEAN_DEVIATION_FACTOR
    return [(value - centre) / scale if scale else 0.0 for value in values]


def without_outliers(values: Sequence[float], threshold: float) -> list[float]:
    """The values whose modified z-score is at most `threshold` in size, in their order; never empty."""
    return [
        value
        for value, score in zip(values, modified_z_scores(values), strict=True)
        if abs(score) <= threshold
    ]
