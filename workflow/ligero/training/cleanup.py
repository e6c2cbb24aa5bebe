"""Keep disk bounded while a grid runs: of the finished trials of a task only the best keeps its weights. Needs no torch.

Several jobs may prune at once: all order the finished trials alike, and the best of them is never deleted.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ligero.common.records import read_record
from ligero.settings.plan import Trial
from ligero.training.selection import best_trial


def finished_of(task_dir: Path, grid: Sequence[Trial], family: str) -> list[dict[str, Any]]:
    """The results of a task's finished trials that have not diverged, in the grid's order; those of another family are stale.

    Args:
        task_dir: `R/state/REGIME/MODEL/TASK`.
        grid: all trials of the task; folders of other trials (an earlier grid's) do not count.
    """
    finished: list[dict[str, Any]] = []
    for trial in grid:
        path = task_dir / trial.id / "result.json"
        if not path.is_file():
            continue
        result = read_record(path)
        if result.get("family") == family and result["best"]["loss"] is not None:
            finished.append(result)
    return finished


def prune(task_dir: Path, grid: Sequence[Trial], family: str, selection_metric: str) -> None:
    """Delete the weights of every finished trial that cannot be selected any more.

    Args:
        task_dir: `R/state/REGIME/MODEL/TASK`.
        grid: all trials of the task; folders of other trials (an earlier grid's) are left alone and do not count.
        family: what the task's trials have in common; results of another family are stale and do not count.
        selection_metric: "loss" or "score".
    """
    finished = finished_of(task_dir, grid, family)
    if not finished:
        return
    best = best_trial(finished, selection_metric)
    for result in finished:
        if result is not best:
            shutil.rmtree(result["folder"], ignore_errors=True)
