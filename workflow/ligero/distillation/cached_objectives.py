"""Distillation as the shard runner of ligero.training sees it: an objective for each task, from its cached logits."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ligero.common.errors import MismatchError
from ligero.common.hashing import digest_value
from ligero.distillation.alignment import align
from ligero.distillation.digests import check_cache, tokens_digest
from ligero.distillation.ensemble import averaged
from ligero.distillation.logit_cache import LogitCache, cache_digest
from ligero.distillation.objective import DistillationObjective
from ligero.distillation.records import LogitsMeta, read_meta
from ligero.distillation.relations import RelationObjective
from ligero.distillation.targets import check_classes
from ligero.distillation.token_layout import layout_of
from ligero.settings.jobs import ShardJob, StudentLearning, TaskSpec
from ligero.training.exits import with_exits
from ligero.training.features import EncodedSplit
from ligero.training.objective import Objective


class CachedObjectives:
    """Objectives of a student's tasks; implements `training.shard.Objectives`.

    All caches of the shard are checked when it is made, before any training.

    Args:
        logits_dir: `R/logits`, with a folder for each task.
        encoded_dir: `R/encoded/TOKENIZER` of the student.
        teachers_dir: `R/models/fine-tuning`, the teachers' selected models.

    Raises:
        DataError, MismatchError: a cache is missing, damaged, or belongs to another task, label list, data or teacher.
    """

    def __init__(self, job: ShardJob, logits_dir: Path, encoded_dir: Path, teachers_dir: Path) -> None:
        if job.distillation is None:
            raise MismatchError(f"shard of {job.model_id}: its regime is {job.regime}, not distillation")
        self._learning, self._early_exit = job.distillation, job.early_exit
        self._logits_dir, self._teachers_dir = logits_dir, teachers_dir
        self._digests: dict[str, str] = {}
        for task_id, task in job.tasks.items():
            made_of = {}
            for teacher, (folder, weight) in teacher_folders(logits_dir / task_id).items():
                meta = read_meta(folder)
                check_cache(
                    meta,
                    folder,
                    task=task_id,
                    task_type=task.type,
                    labels=task.labels,
                    encoded=encoded_dir / task_id,
                    teacher=teachers_dir / teacher / task_id,
                )
                made_of[teacher] = [cache_digest(meta["depends_on"]), weight]
            self._digests[task_id] = digest_value(made_of)

    def digest(self, task_id: str) -> str:
        """Of the teachers' logits: a trial made with others is another trial."""
        return self._digests[task_id]

    def build(self, task_id: str, task: TaskSpec, train: EncodedSplit) -> Objective:
        """What the student's trials on a task minimise, from its caches aligned with the training split."""
        objective = with_exits(self.objective(task_id, task, train), task.type, self._early_exit)
        if self._learning.relations == "none":
            return objective
        meta = read_meta(self._logits_dir / task_id)
        return with_relations(objective, meta, self._teachers_dir, task, train, self._learning)

    def objective(
        self, task_id: str, task: TaskSpec, train: EncodedSplit, loss: Literal["kl", "mse"] | None = None
    ) -> DistillationObjective:
        """The part computed from the cached logits; `loss` overrides the configured one."""
        learning = self._learning.model_copy(update={"loss": loss}) if loss else self._learning
        folders = teacher_folders(self._logits_dir / task_id)
        caches = [LogitCache.open(folder) for folder, _ in folders.values()]
        weights = [weight for _, weight in folders.values()]
        return cached_objective(caches, task, train, learning, weights)


def with_relations(
    objective: Objective,
    meta: LogitsMeta,
    teachers_dir: Path,
    task: TaskSpec,
    train: EncodedSplit,
    learning: StudentLearning,
) -> RelationObjective:
    """The objective with the relation loss of the (first) teacher beside it, which runs at every step.

    Raises:
        MismatchError: the teacher reads other tokens than the student, so their tokens cannot be related one by one.
    """
    from ligero.models.heads import load_selected

    if meta["depends_on"]["tokens"] != tokens_digest(train):
        raise MismatchError(
            f"distillation.relations: {learning.relations} needs a teacher of the student's vocabulary, but {meta['teacher']} "
            f"reads other tokens on task '{meta['task']}'. Choose one under teachers.choices, or set relations: none."
        )
    assert learning.relations != "none"
    teacher = load_selected(teachers_dir / meta["teacher"] / meta["task"], task.type)
    return RelationObjective(objective, teacher, learning.relations, learning.relation_weight)


def teacher_folders(folder: Path) -> dict[str, tuple[Path, float]]:
    """Folder and weight of every teacher whose logits a task's cache holds; those of the first are in `folder` itself."""
    meta = read_meta(folder)
    return {
        teacher: (folder if teacher == meta["teacher"] else folder / "also" / teacher, weight)
        for teacher, weight in meta["together"].items()
    }


def cached_objective(
    caches: Sequence[LogitCache],
    task: TaskSpec,
    train: EncodedSplit,
    learning: StudentLearning,
    weights: Sequence[float] = (1.0,),
) -> DistillationObjective:
    """The objective of one task.

    Args:
        caches: one per teacher.
        weights: one per teacher.
    """
    layout, tokens = layout_of(train), tokens_digest(train)
    alignments = []
    for cache in caches:
        check_classes(cache.logits, len(task.labels), task.type)
        same_vocabulary = cache.meta["depends_on"]["tokens"] == tokens
        alignment = align(layout, cache.layout, task.type, same_vocabulary, learning.answer_alignment)
        counted = ", ".join(f"{name.replace('_', ' ')} {n:,}" for name, n in alignment.counts.items())
        whose = f"{cache.meta['task']}: {cache.meta['teacher']}'s logits"
        print(f"{whose} aligned by {alignment.mode}: {counted}", file=sys.stderr)
        alignments.append(alignment)
    return DistillationObjective(
        task.type,
        averaged(layout, alignments, [cache.logits for cache in caches], weights, learning.loss),
        alpha=learning.alpha,
        temperature=learning.temperature,
        kind=learning.loss,
    )
