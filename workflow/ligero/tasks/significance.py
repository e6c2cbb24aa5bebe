"""Several runs of one method that differ by their seed: mean, spread, interval and a paired test between two methods.

The interval and the test resample the examples and average over the runs inside each sample, so they show how much
the test set matters; the standard deviation beside them shows how much the seed does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ligero.common.errors import MismatchError
from ligero.tasks.bootstrap import PairedTest, bootstrap, paired_bootstrap
from ligero.tasks.metrics import (
    HEADLINE,
    Statistic,
    Units,
    score_answers,
    score_classification,
    score_tagging,
)


@dataclass(frozen=True)
class Runs:
    """The runs of a method on one test set.

    Attributes:
        units: [examples, runs * counts], the units of each run side by side.
        statistic: from summed counts of one run to the headline metric, in percent.
        number: how many runs.
    """

    units: Units
    statistic: Statistic
    number: int

    @classmethod
    def of(cls, metric: str, units: Sequence[Units]) -> Runs:
        """Runs whose units a score function gave.

        Raises:
            MismatchError: they were scored on different numbers of examples.
        """
        if len({one.shape for one in units}) != 1:
            raise MismatchError(
                f"runs of one method were scored on {sorted(len(one) for one in units)} examples; score them again"
            )
        return cls(np.concatenate(units, axis=1), headline_statistic(metric), len(units))

    @property
    def scores(self) -> list[float]:
        """The score of each run, in percent."""
        return [float(self.statistic(one.sum(axis=0))) for one in np.split(self.units, self.number, axis=1)]

    @property
    def mean(self) -> float:
        return float(np.mean(self.scores))

    @property
    def deviation(self) -> float | None:
        """Standard deviation between the runs (n - 1); None of a single one."""
        return float(np.std(self.scores, ddof=1)) if self.number > 1 else None

    def interval(self, seed: int) -> tuple[float, float]:
        """95 % percentile bootstrap of the mean score over the examples."""
        ((low, high),) = bootstrap(self.units, [self._mean_statistic], seed=seed)
        return low, high

    def against(self, reference: Runs, seed: int) -> PairedTest:
        """This method's mean score minus the reference's, both on the same resampled examples.

        Raises:
            MismatchError: another number of examples or of runs.
        """
        return paired_bootstrap(reference.units, self.units, self._mean_statistic, seed=seed)

    def _mean_statistic(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        values = [self.statistic(one) for one in np.split(sums, self.number, axis=-1)]
        return np.asarray(np.mean(values, axis=0))


def headline_statistic(metric: str) -> Statistic:
    """The function from summed counts to a task's headline metric; `metric` as in the settings of a task."""
    score = {
        "accuracy": lambda: score_classification([], []),
        "seqeval_f1": lambda: score_tagging([], []),
        "token_accuracy": lambda: score_tagging([], []),
        "squad_f1": lambda: score_answers({}, {}),
    }[metric]
    return score().statistics[HEADLINE[metric]]
