"""Jobs on the tasks' data: reading, encoding, unlabelled examples, baselines."""

from __future__ import annotations

from ligero.common.errors import ConfigurationError
from ligero.common.hashing import fingerprint_files
from ligero.settings.base import Identifier
from ligero.settings.jobs.base import Job
from ligero.settings.plan import task_sources
from ligero.settings.sources import Source
from ligero.settings.study import Study
from ligero.settings.tasks import Splits, Task, TaskType


class TaskJob(Job):
    task_id: Identifier
    task: Task
    sources: dict[Identifier, Source]


def task_job(study: Study, task_id: str) -> TaskJob:
    task = study.tasks[task_id]
    wanted = task_sources(study, task_id)
    return TaskJob(
        task_id=task_id,
        task=task.model_copy(update={"grid": Task.model_fields["grid"].default, "max_length": None}),
        sources={source: study.sources[source] for source in wanted},
    )


class EncodingJob(Job):
    """Token ids of one task for one vocabulary; label placement is chosen when they are loaded, so regimes share them."""

    task_id: Identifier
    task_type: str
    max_length: int
    doc_stride: int


def encoding_job(study: Study, task_id: str) -> EncodingJob:
    task = study.tasks[task_id]
    options = study.fine_tuning.options
    return EncodingJob(
        task_id=task_id,
        task_type=task.type,
        max_length=task.max_length or options.max_length,
        doc_stride=options.doc_stride,
    )


def training_view(task: Task) -> Task:
    """A task without what training does not see: its grid is in the trials, what was read is in the encoded data."""
    splits = Splits(**{name: split.model_copy(update={"expected": None}) for name, split in task.splits})
    return task.model_copy(update={"grid": Task.model_fields["grid"].default, "note": "", "splits": splits})


class AugmentationJob(Job):
    """The unlabelled examples of one task."""

    task_id: Identifier
    task_type: TaskType
    pairs: bool
    """The examples are pairs of texts: new pairs are made of them; else sentences come from the corpus."""
    ratio: float
    min_words: int
    max_words: int
    seed: int


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


class BaselineJob(Job):
    """Scoring what needs no model."""

    task_id: Identifier
    task: Task
    """Without what only reading or encoding depends on."""
    seed: int
    """Of the intervals' bootstrap."""


def baseline_job(study: Study, task_id: str) -> BaselineJob:
    task = training_view(study.tasks[task_id])
    return BaselineJob(
        task_id=task_id,
        task=task.model_copy(update={"max_length": None}),
        seed=study.fine_tuning.options.seed,
    )


def documents_fingerprint(study: Study, task_id: str) -> str:
    """Fingerprint of a task's own folder of documents (`rcv_dir`); empty where it has none.

    Tens of thousands of small files would be too many inputs for the workflow, so names, sizes and times stand for them.
    """
    folder = study.tasks[task_id].rcv_dir
    return fingerprint_files(folder, ".xml") if folder else ""
