"""Distillation as the shard runner of ligero.training sees it: an objective for each task, from its cached logits."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ligero.common.errors import MismatchError
from ligero.common.files import read_json
from ligero.distillation.alignment import AnswerAlignment, align
from ligero.distillation.cache import LogitCache, fingerprint_of
from ligero.distillation.fingerprints import check_cache, tokens_digest
from ligero.distillation.objective import DistillationObjective
from ligero.distillation.targets import CachedTargets, check_classes
from ligero.distillation.token_layout import layout_of
from ligero.settings.jobs import ShardJob
from ligero.settings.tasks import Task
from ligero.training.data import EncodedSplit


class CachedObjectives:
    """Objectives of a student's tasks; implements `training.shard.Objectives`.

    All caches of the shard are checked when it is made, before any training.

    Args:
        logits_dir: `R/logits`, with a folder a task.
        encoded_dir: `R/encoded/VOCABULARY` of the student.

    Raises:
        DataError, MismatchError: a cache is missing, damaged, or belongs to another task, label list, data or teacher.
    """

    def __init__(self, job: ShardJob, logits_dir: Path, encoded_dir: Path) -> None:
        if job.distillation is None:
            raise MismatchError(f"shard of {job.model_id}: its regime is {job.regime}, not distillation")
        self._settings = job.distillation
        self._logits_dir = logits_dir
        self._fingerprints: dict[str, str] = {}
        for task_id, task in job.tasks.items():
            folder = logits_dir / task_id
            meta = read_json(folder / "meta.json")
            check_cache(
                meta,
                folder,
                task=task_id,
                task_type=task.type,
                labels=task.labels,
                encoded=encoded_dir / task_id,
            )
            self._fingerprints[task_id] = fingerprint_of(meta["fingerprints"])

    def fingerprint(self, task_id: str) -> Any:
        """The cache's fingerprint: a trial made with other logits is another trial."""
        return {"logits": self._fingerprints[task_id]}

    def build(self, task_id: str, task: Task, train: EncodedSplit) -> DistillationObjective:
        """Align the task's cache with the student's training split."""
        return cached_objective(LogitCache.open(self._logits_dir / task_id), task, train, self._settings)


def cached_objective(
    cache: LogitCache, task: Task, train: EncodedSplit, settings: dict[str, Any]
) -> DistillationObjective:
    """The objective of one task.

    Args:
        settings: alpha, temperature and loss; `answer_alignment` ("first_subword" or "boundary") where it is not the default.
    """
    check_classes(cache.logits, len(task.labels), task.type)
    answers: AnswerAlignment = settings.get("answer_alignment", "first_subword")
    same_vocabulary = cache.meta["fingerprints"]["tokens"] == tokens_digest(train)
    alignment = align(layout_of(train), cache.layout, task.type, same_vocabulary, answers)
    counted = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in alignment.counts.items())
    print(f"{cache.meta.get('task')}: logits aligned by {alignment.mode}: {counted}", file=sys.stderr)
    return DistillationObjective(
        task.type,
        CachedTargets(alignment, cache.logits),
        alpha=settings["alpha"],
        temperature=settings["temperature"],
        kind=settings["loss"],
    )
