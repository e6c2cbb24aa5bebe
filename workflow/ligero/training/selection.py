"""The best trial of a system on a task: chosen by validation, put at a fixed place, the others' weights deleted.

Needs no torch: it compares numbers and links files.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ligero.common.errors import LigeroError, MismatchError
from ligero.common.files import atomic_directory
from ligero.common.records import read_record, write_record
from ligero.models.digests import digest_weights
from ligero.settings.jobs import SelectionJob
from ligero.settings.sources import Source
from ligero.training.model_card import Evidence, model_card


def read_trials(job: SelectionJob, shards: Iterable[Path]) -> list[dict[str, Any]]:
    """The results of the job's trials, in the grid's order.

    Raises:
        MismatchError: a trial of the grid stands in no shard, or twice, or trials differ in more than their point of the grid.
    """
    found: dict[str, dict[str, Any]] = {}
    for shard in shards:
        for result in read_record(shard)["trials"]:
            if result["trial"]["task"] != job.task_id or result["trial"]["model"] != job.model_id:
                continue
            if result["id"] in found:
                raise MismatchError(
                    f"{shard}: trial {result['id']} of {job.task_id} stands in two shard files; pass each shard once."
                )
            found[result["id"]] = result
    missing = [trial.id for trial in job.trials if trial.id not in found]
    if missing:
        raise MismatchError(
            f"selection of {job.model_id} on {job.task_id}: no result of {len(missing)} trials, the first is {missing[0]}. "
            "Its shard was made with another grid; run it again."
        )
    results = [found[trial.id] for trial in job.trials]
    other = next((result for result in results if result.get("family") != results[0].get("family")), None)
    if other is not None:
        raise MismatchError(
            f"selection of {job.model_id} on {job.task_id}: trials {results[0]['id']} and {other['id']} were made from other data, "
            "weights, logits or settings and cannot be compared; run their shards again."
        )
    return results


def best_trial(results: Sequence[dict[str, Any]], selection_metric: str) -> dict[str, Any]:
    """The result with the lowest validation loss, or the highest score; of equals the first in the grid's order.

    Trials that diverged (their loss is None) cannot be chosen.

    Args:
        selection_metric: "loss" or "score".

    Raises:
        LigeroError: all trials diverged.
    """
    diverged, results = results, [result for result in results if result["best"]["loss"] is not None]
    if not results:
        trial = diverged[0]["trial"]
        raise LigeroError(
            f"{trial['model']} on {trial['task']}: the validation loss of no trial was ever finite ({len(diverged)} trials, the "
            f"first is {diverged[0]['id']}). Lower the grid's learning rates, or use precision fp32."
        )
    if selection_metric == "score":
        return max(results, key=lambda result: result["best"]["score"])
    return min(results, key=lambda result: result["best"]["loss"])


def select(
    job: SelectionJob,
    shards: Iterable[Path],
    out_selection: Path,
    out_model: Path,
    sources: Mapping[str, Source] | None = None,
) -> dict[str, Any]:
    """Choose, put the model at `out_model`, write `out_selection`, then delete the other trials' weights.

    The chosen weights are hard links to the trial's, where the file system has them, and cost no disk twice.

    Args:
        sources: the task's files by their ids; only the model card names them.

    Raises:
        MismatchError: a trial is missing, or the best one's weights are gone.
    """
    shards = list(shards)
    results = read_trials(job, shards)
    best = best_trial(results, job.selection_metric)
    folder = Path(best["folder"])
    if not (folder / "config.json").is_file():
        shard = next(path for path in shards if _holds(path, best))
        raise MismatchError(
            f"{folder}: the weights of the best trial are gone, for another one was better in an earlier grid. Delete {shard} and "
            "start again: that trial is then trained once more."
        )
    with atomic_directory(out_model) as staging:
        for path in sorted(folder.iterdir()):
            link_or_copy(path, staging / path.name)
        selection = {
            "regime": job.regime,
            "model": job.model_id,
            "task": job.task_id,
            "metric": job.metric,
            "selection_metric": job.selection_metric,
            "trial": best["trial"],
            "id": best["id"],
            "best": best["best"],
            "candidates": [
                {
                    "id": result["id"],
                    **{key: result["best"][key] for key in ("loss", "score", "epoch", "step")},
                }
                for result in results
            ],
            "seconds": round(sum(result["seconds"] for result in results), 3),
            "seconds_of_best": best["seconds"],
            "micro_batch_size": best["micro_batch_size"],
            "device": best["device"],
            "folder": str(out_model),
            "model_digest": digest_weights(staging),
        }
        (staging / "README.md").unlink(missing_ok=True)
        card = model_card(job, selection, staging, Evidence(sources=sources or {}))
        (staging / "README.md").write_text(card, encoding="utf-8")
    write_record(out_selection, selection)
    for result in results:
        if result is not best:
            shutil.rmtree(result["folder"], ignore_errors=True)
    return selection


def _holds(shard: Path, wanted: dict[str, Any]) -> bool:
    return any(result["trial"] == wanted["trial"] for result in read_record(shard)["trials"])


def link_or_copy(source: Path, target: Path) -> None:
    """A hard link, or a copy where the file system has none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
