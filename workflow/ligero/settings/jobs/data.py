"""Jobs on data: the corpus, tokenizers, and reading, encoding and augmenting the tasks."""

from __future__ import annotations

from ligero.common.errors import ConfigurationError
from ligero.common.hashing import fingerprint_files
from ligero.settings.base import Identifier, Settings
from ligero.settings.corpus import Corpus
from ligero.settings.jobs.base import Job
from ligero.settings.plan import task_sources, tokenizers_in_use
from ligero.settings.sources import Source
from ligero.settings.study import Study
from ligero.settings.tasks import Task, TaskType
from ligero.settings.training import GridOverride


class CleaningJob(Job):
    """Clean the corpus and hold out documents for validation."""

    corpus: Corpus
    """All of it: parts in their order too, since the text is written and repetitions are dropped in that order."""


def cleaning_job(study: Study) -> CleaningJob:
    """The job of the whole section `corpus`: any of its settings cleans it again."""
    assert study.corpus
    return CleaningJob(corpus=study.corpus)


class TokenizersJob(Job):
    """Tokenizers, and the texts that they are tried on."""

    tokenizers: tuple[Identifier, ...]
    tasks: tuple[Identifier, ...]
    """Of each the test split."""
    held_out: bool
    """Whether there is a corpus, whose held-out documents come first."""


def tokenizers_job(study: Study) -> TokenizersJob:
    """The job of the measurement of all tokenizers in use; what they and the texts contain are its inputs."""
    return TokenizersJob(
        tokenizers=tuple(tokenizers_in_use(study)), tasks=tuple(study.tasks), held_out=study.reads_corpus
    )


class TaskJob(Job):
    """Read a task's files into examples."""

    task_id: Identifier
    task: Task
    """Without its grid and length, which only training and encoding read."""
    sources: dict[Identifier, Source]


def task_job(study: Study, task_id: str) -> TaskJob:
    """The job of reading a task: the task with the entries of its sources, whose contents are inputs."""
    task = study.tasks[task_id]
    wanted = task_sources(study, task_id)
    return TaskJob(
        task_id=task_id,
        task=task.model_copy(
            update=dict.fromkeys(("grid", "distillation_grid"), GridOverride()) | {"max_length": None}
        ),
        sources={source: study.sources[source] for source in wanted},
    )


class EncodingJob(Job):
    """Encode a task's examples with a tokenizer. Labels are placed on subwords when they are loaded, so regimes share them."""

    task_id: Identifier
    task_type: str
    max_length: int
    doc_stride: int


def encoding_job(study: Study, task_id: str) -> EncodingJob:
    """The job of encoding a task, the same for every tokenizer; its length overrides that of `fine_tuning.options`."""
    task = study.tasks[task_id]
    options = study.fine_tuning.options
    return EncodingJob(
        task_id=task_id,
        task_type=task.type,
        max_length=task.max_length or options.max_length,
        doc_stride=options.doc_stride,
    )


class TaskSpec(Settings):
    """What is predicted in a task, and how that is scored. The rest of a task only says which data it has, and they are inputs."""

    type: TaskType
    labels: tuple[str, ...]
    metric: str

    @classmethod
    def of(cls, task: Task) -> TaskSpec:
        return cls(type=task.type, labels=task.labels, metric=task.metric)


class AugmentationJob(Job):
    """Add unlabelled examples to a task."""

    task_id: Identifier
    task_type: TaskType
    pairs: bool
    """Whether examples are pairs of texts, of which new pairs are made; otherwise sentences come from the corpus."""
    ratio: float
    min_words: int
    max_words: int
    seed: int


def augmentation_job(study: Study, task_id: str) -> AugmentationJob:
    """The job of a task's unlabelled examples: the section `distillation.augmentation` and the kind of task.

    Raises:
        ConfigurationError: the study has no such section.
    """
    augmentation = study.distillation.augmentation if study.distillation else None
    if augmentation is None:
        raise ConfigurationError(
            "distillation.augmentation: the study has no such section; add it with the ratio of examples to add"
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
    """Score a task's baseline, which needs no model."""

    task_id: Identifier
    task: TaskSpec
    seed: int
    """Seed of the bootstrap for the intervals."""


def baseline_job(study: Study, task_id: str) -> BaselineJob:
    """The job of a task's baseline: how it is scored; its examples are inputs."""
    return BaselineJob(
        task_id=task_id,
        task=TaskSpec.of(study.tasks[task_id]),
        seed=study.fine_tuning.options.seed,
    )


def documents_fingerprint(study: Study, task_id: str) -> str:
    """Fingerprint of a task's own folder of documents (`rcv_dir`), or '' if it has none.

    Tens of thousands of small files would be too many inputs for the workflow, so their names, sizes and times are hashed instead.
    """
    folder = study.tasks[task_id].rcv_dir
    return fingerprint_files(folder, ".xml") if folder else ""
