"""The best trial of a system on a task: chosen by validation, put at a fixed place, the others' weights deleted.

Needs no torch: it compares numbers and links files.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from ligero.common.errors import LigeroError, MismatchError
from ligero.common.files import atomic_directory
from ligero.common.records import DamagedError
from ligero.models.digests import SELECTED_REMEDY, check_model
from ligero.settings.jobs import SelectionJob
from ligero.training.planned_trials import best_weights, check_best, train_again
from ligero.training.records import (
    Candidate,
    SelectionRecord,
    TrialRecord,
    read_selection,
    read_shard,
    write_selection,
)


def read_trials(job: SelectionJob, shards: Sequence[Path]) -> list[TrialRecord]:
    """The outcomes of the job's trials, in the grid's order.

    Raises:
        MismatchError: a trial of the grid is in no shard, or in two, or trials differ in more than their point of the grid.
    """
    found: dict[str, TrialRecord] = {}
    for shard in shards:
        for record in read_shard(shard)["trials"]:
            if record["trial"]["task"] != job.task_id or record["trial"]["model"] != job.model_id:
                continue
            if record["id"] in found:
                raise MismatchError(
                    f"{shard}: trial {record['id']} of {job.task_id} is in two shard files; pass each shard once."
                )
            found[record["id"]] = record
    missing = [trial.id for trial in job.trials if trial.id not in found]
    if missing:
        raise MismatchError(
            f"{shards[0].parent}: no result of {len(missing)} trials of {job.model_id} on {job.task_id}, the first is {missing[0]}. "
            f"The shards that were read are of another grid or model. {train_again(job.regime)}"
        )
    records = [found[trial.id] for trial in job.trials]
    first = records[0]
    other = next((record for record in records if record["group_digest"] != first["group_digest"]), None)
    if other is not None:
        raise MismatchError(
            f"{shards[0].parent}: on {job.task_id} trials {first['id']} and {other['id']} were made from other data, "
            f"weights, logits or settings and cannot be compared. {train_again(job.regime)}"
        )
    return records


def best_trial(records: Sequence[TrialRecord], selection_metric: str) -> TrialRecord:
    """The outcome with the lowest validation loss, or the highest score; of equals the first in the grid's order.

    Trials that diverged (their loss is None) cannot be chosen, nor those that successive halving stopped.

    Args:
        selection_metric: "loss" or "score".

    Raises:
        LigeroError: all trials diverged.
    """
    ranked = [
        (-score if selection_metric == "score" else loss, record)
        for record in records
        if record["stopped"] != "halving"
        and (loss := record["best"]["loss"]) is not None
        and (score := record["best"]["score"]) is not None
    ]
    if not ranked:
        trial = records[0]["trial"]
        raise LigeroError(
            f"{trial['model']} on {trial['task']}: the validation loss of no trial was ever finite ({len(records)} trials, the "
            f"first is {records[0]['id']}). Lower the grid's learning rates, or use precision fp32."
        )
    return min(ranked, key=lambda pair: pair[0])[1]


def select(
    job: SelectionJob,
    shards: Sequence[Path],
    state_dir: Path,
    out_selection: Path,
    out_model: Path,
) -> SelectionRecord:
    """Choose, put the model at `out_model`, write `out_selection`, then delete the other trials' weights.

    The chosen weights are hard links to the trial's, where the file system has them, and cost no disk twice.

    Args:
        state_dir: `R/state/REGIME/MODEL`, where the trials keep their weights.

    Raises:
        MismatchError: a trial is missing.
        DamagedError: the weights of the best trial are missing or damaged.
    """
    records = read_trials(job, shards)
    trials = {trial.id: trial for trial in job.trials}
    best = best_trial(records, job.selection_metric)
    folder = best_weights(state_dir, trials[best["id"]])
    model_digest = _check_best(job, best, folder)
    with atomic_directory(out_model) as staging:
        for path in sorted(folder.iterdir()):
            link_or_copy(path, staging / path.name)
        selection = SelectionRecord(
            regime=job.regime,
            model=job.model_id,
            task=job.task_id,
            metric=job.metric,
            selection_metric=job.selection_metric,
            trial=best["trial"],
            id=best["id"],
            best=best["best"],
            candidates=[
                Candidate(
                    id=record["id"],
                    loss=record["best"]["loss"],
                    score=record["best"]["score"],
                    epoch=record["best"]["epoch"],
                    step=record["best"]["step"],
                    stopped=record["stopped"],
                )
                for record in records
            ],
            seconds=round(sum(record["seconds"] for record in records), 3),
            seconds_of_best=best["seconds"],
            micro_batch_size=best["micro_batch_size"],
            device=best["device"],
            model_digest=model_digest,
        )
    write_selection(out_selection, selection)
    for record in records:
        if record is not best:
            shutil.rmtree(best_weights(state_dir, trials[record["id"]]), ignore_errors=True)
    return selection


def check_selected(selection: Path, model: Path) -> None:
    """Refuse a folder of a selected model that holds another model, whole as it may be: an older run's, or another task's.

    Args:
        selection: the record of the choice.

    Raises:
        DamagedError: the model is missing, or not the one that was selected.
    """
    expected, found = read_selection(selection)["model_digest"], check_model(model)
    if found != expected:
        problem = f"not the model of {selection}: its digest is {found}, recorded is {expected}."
        raise DamagedError(model, None, problem, SELECTED_REMEDY)


def _check_best(job: SelectionJob, best: TrialRecord, folder: Path) -> str:
    """The digest of the best trial's weights, which must be those that the trial recorded."""
    remedy = train_again(job.regime)
    if (found := check_best(folder, remedy)) != best["weights_digest"]:
        problem = f"these are not the weights of trial {best['id']}: their digest is {found}, it recorded {best['weights_digest']}."
        raise DamagedError(folder, None, problem, remedy)
    return found


def link_or_copy(source: Path, target: Path) -> None:
    """A hard link, or a copy where the file system has none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
