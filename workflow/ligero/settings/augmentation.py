"""Which tasks can be augmented with unlabelled examples, and the job that does it."""

from __future__ import annotations

from ligero.common.errors import ConfigurationError
from ligero.settings.base import Identifier, Settings
from ligero.settings.study import Study
from ligero.settings.tasks import Task, TaskType


class AugmentationJob(Settings):
    """The unlabelled examples of one task."""

    task_id: Identifier
    task_type: TaskType
    pairs: bool
    """The examples are pairs of texts: new pairs are made of them; else sentences come from the corpus."""
    ratio: float
    min_words: int
    max_words: int
    seed: int


def why_not(task: Task) -> str | None:
    """Why a task cannot have unlabelled examples, or None where it can."""
    return "sentences of a corpus are no questions" if task.type == "question_answering" else None


def augmentation_job(study: Study, task_id: str) -> AugmentationJob:
    """What the unlabelled examples of a task depend on.

    Raises:
        ConfigurationError: the study has no augmentation.
    """
    augmentation = study.distillation.augmentation if study.distillation else None
    if augmentation is None:
        raise ConfigurationError(
            "distillation.augmentation: this study has none; give the ratio of examples to add"
        )
    return AugmentationJob(
        task_id=task_id,
        task_type=study.tasks[task_id].type,
        pairs=study.tasks[task_id].has_pairs,
        ratio=augmentation.ratio,
        min_words=augmentation.min_words,
        max_words=augmentation.max_words,
        seed=augmentation.seed,
    )
