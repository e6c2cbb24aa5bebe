"""Keep disk bounded while a grid runs: of the finished trials of a task only the best keeps its weights. Needs no torch.

Several jobs may clean up at once: all order the finished trials alike, and the best of them is never deleted.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from ligero.training.planned_trials import PlannedTrial
from ligero.training.selection import best_trial


def best_finished(group: Sequence[PlannedTrial], selection_metric: str) -> PlannedTrial | None:
    """The best of a task's finished trials; None where none has ended with a finite loss."""
    finished = [
        record for planned in group if (record := planned.finished()) and record["best"]["loss"] is not None
    ]
    if not finished:
        return None
    best = best_trial(finished, selection_metric)["id"]
    return next(planned for planned in group if planned.trial.id == best)


def keep_best_weights(group: Sequence[PlannedTrial], selection_metric: str) -> None:
    """Delete the weights of every finished trial that cannot be selected any more.

    Args:
        group: all trials of a task; folders of other trials (an earlier grid's) are left alone and do not count.
        selection_metric: "loss" or "score".
    """
    best = best_finished(group, selection_metric)
    for planned in group if best else ():
        if planned is not best and planned.finished():
            shutil.rmtree(planned.best, ignore_errors=True)
