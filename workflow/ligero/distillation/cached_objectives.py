"""Distillation as the shard runner of ligero.training sees it: an objective for each task, from its cached logits."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from ligero.common.errors import MismatchError
from ligero.common.records import read_record
from ligero.distillation.alignment import align
from ligero.distillation.cache import LogitCache, fingerprint_of
from ligero.distillation.digests import check_cache, tokens_digest
from ligero.distillation.ensemble import averaged
from ligero.distillation.objective import DistillationObjective
from ligero.distillation.relations import RelationObjective
from ligero.distillation.targets import check_classes
from ligero.distillation.token_layout import layout_of
from ligero.settings.jobs import ShardJob, StudentLearning
from ligero.settings.tasks import Task
from ligero.training.data import EncodedSplit
from ligero.training.objective import Objective


class CachedObjectives:
    """Objectives of a student's tasks; implements `training.shard.Objectives`.

    All caches of the shard are checked when it is made, before any training.

    Args:
        logits_dir: `R/logits`, with a folder a task.
        encoded_dir: `R/encoded/TOKENIZER` of the student.

    Raises:
        DataError, MismatchError: a cache is missing, damaged, or belongs to another task, label list, data or teacher.
    """

    def __init__(self, job: ShardJob, logits_dir: Path, encoded_dir: Path) -> None:
        if job.distillation is None:
            raise MismatchError(f"shard of {job.model_id}: its regime is {job.regime}, not distillation")
        self._learning = job.distillation
        self._logits_dir = logits_dir
        self._fingerprints: dict[str, Any] = {}
        for task_id, task in job.tasks.items():
            made_of = {}
            for teacher, (folder, weight) in teacher_folders(logits_dir / task_id).items():
                meta = read_record(folder / "meta.json")
                check_cache(
                    meta,
                    folder,
                    task=task_id,
                    task_type=task.type,
                    labels=task.labels,
                    encoded=encoded_dir / task_id,
                )
                made_of[teacher] = [fingerprint_of(meta["fingerprints"]), weight]
            self._fingerprints[task_id] = made_of

    def fingerprint(self, task_id: str) -> Any:
        """The cache's fingerprint: a trial made with other logits is another trial."""
        return {"logits": self._fingerprints[task_id]}

    def build(self, task_id: str, task: Task, train: EncodedSplit) -> Objective:
        """What the student's trials on a task minimise, from its caches aligned with the training split."""
        objective = self.objective(task_id, task, train)
        if self._learning.relations == "none":
            return objective
        first = LogitCache.open(self._logits_dir / task_id)
        return with_relations(objective, first, task, train, self._learning)

    def objective(
        self, task_id: str, task: Task, train: EncodedSplit, loss: Literal["kl", "mse"] | None = None
    ) -> DistillationObjective:
        """The part that the cached logits make; `loss` stands in place of the settings'."""
        learning = self._learning.model_copy(update={"loss": loss}) if loss else self._learning
        folders = teacher_folders(self._logits_dir / task_id)
        caches = [LogitCache.open(folder) for folder, _ in folders.values()]
        weights = [weight for _, weight in folders.values()]
        return cached_objective(caches, task, train, learning, weights)


def with_relations(
    objective: DistillationObjective,
    cache: LogitCache,
    task: Task,
    train: EncodedSplit,
    learning: StudentLearning,
) -> RelationObjective:
    """The objective with the relation loss of the (first) teacher beside it, which runs at every step.

    Raises:
        MismatchError: the teacher reads other tokens than the student, so their tokens cannot be related one by one.
    """
    from ligero.models.heads import load_selected

    if cache.meta["fingerprints"]["tokens"] != tokens_digest(train):
        raise MismatchError(
            f"distillation.relations: {learning.relations} needs a teacher of the student's vocabulary, but {cache.meta['teacher']} "
            f"reads other tokens on task '{cache.meta['task']}'. Choose one under teachers.choices, or set relations: none."
        )
    assert learning.relations != "none"
    teacher = load_selected(Path(cache.meta["folder"]), task.type)
    return RelationObjective(objective, teacher, learning.relations, learning.relation_weight)


def teacher_folders(folder: Path) -> dict[str, tuple[Path, float]]:
    """Folder and weight of every teacher whose logits a task's cache holds; the first one's are in `folder` itself."""
    meta = read_record(folder / "meta.json")
    together: dict[str, float] = meta.get("together") or {meta.get("teacher", ""): 1.0}
    return {
        teacher: (folder if teacher == meta.get("teacher") else folder / "also" / teacher, weight)
        for teacher, weight in together.items()
    }


def cached_objective(
    caches: Sequence[LogitCache],
    task: Task,
    train: EncodedSplit,
    learning: StudentLearning,
    weights: Sequence[float] = (1.0,),
) -> DistillationObjective:
    """The objective of one task.

    Args:
        caches: one a teacher.
        weights: one a teacher.
    """
    layout, tokens = layout_of(train), tokens_digest(train)
    alignments = []
    for cache in caches:
        check_classes(cache.logits, len(task.labels), task.type)
        same_vocabulary = cache.meta["fingerprints"]["tokens"] == tokens
        alignment = align(layout, cache.layout, task.type, same_vocabulary, learning.answer_alignment)
        counted = ", ".join(f"{name.replace('_', ' ')} {n:,}" for name, n in alignment.counts.items())
        teacher = cache.meta.get("teacher")
        print(
            f"{cache.meta.get('task')}: {teacher}'s logits aligned by {alignment.mode}: {counted}",
            file=sys.stderr,
        )
        alignments.append(alignment)
    return DistillationObjective(
        task.type,
        averaged(layout, alignments, [cache.logits for cache in caches], weights, learning.loss),
        alpha=learning.alpha,
        temperature=learning.temperature,
        kind=learning.loss,
    )
