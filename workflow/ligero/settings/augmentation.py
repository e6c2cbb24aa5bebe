"""Which tasks can be augmented with unlabelled text, and the job that does it."""

from __future__ import annotations

from ligero.common.errors import ConfigurationError
from ligero.settings.base import Identifier, Settings
from ligero.settings.study import Study
from ligero.settings.tasks import Task, TaskType

PAIR_READERS = ("xnli", "pawsx")


class AugmentationJob(Settings):
    """The unlabelled sentences of one task."""

    task_id: Identifier
    task_type: TaskType
    sentences: int
    min_words: int
    max_words: int
    seed: int


def why_not(task: Task) -> str | None:
    """Why a task cannot take sentences of the corpus, or None where it can."""
    if task.type == "question_answering":
        return "sentences of a corpus are no questions"
    if task.reader in PAIR_READERS or (task.reader == "table" and task.columns.second_text):
        return "its examples are pairs of texts"
    return None


def augmentation_job(study: Study, task_id: str) -> AugmentationJob:
    """What the unlabelled text of a task depends on.

    Raises:
        ConfigurationError: the study has no augmentation.
    """
    augmentation = study.distillation.augmentation if study.distillation else None
    if augmentation is None:
        raise ConfigurationError(
            "distillation.augmentation: this study has none; give the number of sentences"
        )
    return AugmentationJob(
        task_id=task_id,
        task_type=study.tasks[task_id].type,
        sentences=augmentation.sentences,
        min_words=augmentation.min_words,
        max_words=augmentation.max_words,
        seed=augmentation.seed,
    )
