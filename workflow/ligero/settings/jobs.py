"""What each job of the workflow depends on: one model a stage, cut out of the study.

A program sees the configuration only through its job, and the rule carries the job's digest as a parameter: a setting
that changes re-runs exactly the jobs whose digest it changes, and no job can read what its digest does not cover.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import product
from typing import Any, Literal, NamedTuple

from pydantic import Field, PositiveInt

from ligero.common.errors import ConfigurationError
from ligero.common.hashing import digest_value
from ligero.settings.base import Identifier, Settings
from ligero.settings.corpus import Corpus, Tokenizer
from ligero.settings.models import Architecture, HubModel, Model
from ligero.settings.sources import Source
from ligero.settings.study import Regime, Study
from ligero.settings.tasks import Splits, Task, TaskType
from ligero.settings.teaching import teacher_candidates
from ligero.settings.training import (
    Distillation,
    Grid,
    InitialLayers,
    Pretraining,
    Training,
    TrainingOptions,
)
from ligero.settings.values import LearningRate


class Trial(Settings):
    """One run of training: a point of the grid for one model and task."""

    model: Identifier
    task: Identifier
    batch_size: int
    """Effective batch size."""
    epochs: int
    learning_rate: LearningRate
    seed: int

    @property
    def id(self) -> str:
        """The trial's name in paths."""
        return f"batch{self.batch_size}-epochs{self.epochs}-rate{self.learning_rate}-seed{self.seed}"


class CleaningJob(Settings):
    corpus: Corpus
    """All of it: parts in their order too, since the text is written and repetitions are dropped in that order."""


class PretrainingJob(Settings):
    model_id: Identifier
    model: Model
    recipe: Pretraining
    tokenizer: Tokenizer

    def determining_weights(self) -> PretrainingJob:
        """The part of the job on which the weights of a run that does not diverge depend."""
        parts = {"model": self.model.determining_weights(), "recipe": self.recipe.determining_weights()}
        return self.model_copy(update=parts)


class WeightsJob(Settings):
    """Fetch or convert the weights of others into a checked local folder."""

    model_id: Identifier
    architecture: Architecture
    weights: str
    hub: HubModel | None
    local: str | None
    lower_case: bool | None


class TaskJob(Settings):
    task_id: Identifier
    task: Task
    sources: dict[Identifier, Source]


class EncodingJob(Settings):
    """Token ids of one task for one vocabulary; label placement is chosen when they are loaded, so regimes share them."""

    task_id: Identifier
    task_type: str
    max_length: int
    doc_stride: int


class ShardJob(Settings):
    """Trials that run in one process: all of one model (or student)."""

    regime: Regime
    model_id: Identifier
    model: Model
    """Of the model itself, or of the student's initial model."""
    num_hidden_layers: int | None
    initial_layers: InitialLayers = Field("spread", exclude_if=lambda chosen: chosen == "spread")
    trials: tuple[Trial, ...]
    tasks: dict[Identifier, Task]
    options: TrainingOptions
    selection: dict[Identifier, Literal["loss", "score"]] = Field({}, exclude_if=lambda chosen: not chosen)
    """The tasks of the shard whose selection differs from the options'."""
    evaluate_every_steps: dict[Identifier, PositiveInt] = Field({}, exclude_if=lambda chosen: not chosen)
    """The tasks of the shard that are validated after another number of steps than the options say."""
    distillation: dict[str, Any] | None
    """alpha, temperature, loss and patience; null in fine-tuning."""

    def options_of(self, task_id: str) -> TrainingOptions:
        """The options with which a task's trials run."""
        options = _with_selection(self.options, self.selection, task_id)
        every = self.evaluate_every_steps.get(task_id, options.evaluate_every_steps)
        return options.model_copy(update={"evaluate_every_steps": every})


class SelectionJob(Settings):
    regime: Regime
    model_id: Identifier
    task_id: Identifier
    model_name: str
    task_name: str
    metric: str
    selection_metric: str
    trials: tuple[Trial, ...]


class SelectionsJob(Settings):
    """The selections that one process makes."""

    selections: tuple[SelectionJob, ...]


class ScoringJob(Settings):
    """Test sets that one process scores, for one system or several."""

    regime: Regime
    systems: dict[Identifier, Identifier]
    """System id to the vocabulary that it reads with."""
    tasks: dict[Identifier, Task]
    options: TrainingOptions


class TeacherJob(Settings):
    task_id: Identifier
    task_name: str
    rule: str
    choice: Identifier | None
    candidates: dict[Identifier, str]
    """Model id to name."""
    number: int = 1
    weighting: str = "mean"


class LogitsJob(Settings):
    task_id: Identifier
    task_type: TaskType
    labels: tuple[str, ...]
    dtype: Literal["float16", "float32"]
    micro_batch_size: int | None
    precision: str
    max_words: int | None
    """The student's word limit, so that the teacher reads the same words."""


class ReportingJob(Settings):
    """What tables and figures read of the configuration."""

    study: dict[str, Any]


def _with_selection(options: TrainingOptions, selection: dict[str, Any], task_id: str) -> TrainingOptions:
    return options.model_copy(update={"selection_metric": selection.get(task_id, options.selection_metric)})


def digest(job: Settings) -> str:
    """16 hexadecimal digits over everything in a job that its result depends on."""
    determining = job.determining_weights() if isinstance(job, PretrainingJob) else job
    return digest_value(determining.model_dump(mode="json"))


def cleaning_job(study: Study) -> CleaningJob:
    assert study.corpus
    return CleaningJob(corpus=study.corpus)


def pretraining_job(study: Study, model_id: str) -> PretrainingJob:
    model = study.models[model_id]
    assert model.pretraining and model.tokenizer
    return PretrainingJob(
        model_id=model_id,
        model=model.determining_weights().model_copy(update={"head_learning_rate_factor": None}),
        recipe=model.pretraining,
        tokenizer=study.tokenizers[model.tokenizer],
    )


def weights_job(study: Study, model_id: str) -> WeightsJob:
    model = study.models[model_id]
    return WeightsJob(
        model_id=model_id,
        architecture=model.architecture,
        weights=model.weights,
        hub=model.hub,
        local=model.local,
        lower_case=model.lower_case,
    )


def task_job(study: Study, task_id: str) -> TaskJob:
    task = study.tasks[task_id]
    wanted = task_sources(study, task_id)
    return TaskJob(
        task_id=task_id,
        task=task.model_copy(update={"grid": Task.model_fields["grid"].default, "max_length": None}),
        sources={source: study.sources[source] for source in wanted},
    )


def task_sources(study: Study, task_id: str) -> list[str]:
    """Ids of all sources that a task reads, each once, in a stable order."""
    task = study.tasks[task_id]
    wanted = [source for _, split in task.splits for source in (*split.sources, *split.without_ids_of)]
    return list(dict.fromkeys([*wanted, *task.documents]))


def encoding_job(study: Study, task_id: str) -> EncodingJob:
    task = study.tasks[task_id]
    options = study.fine_tuning.options
    return EncodingJob(
        task_id=task_id,
        task_type=task.type,
        max_length=task.max_length or options.max_length,
        doc_stride=options.doc_stride,
    )


def stage_options(study: Study, regime: Regime) -> TrainingOptions:
    """The training options of a regime."""
    if regime == "fine-tuning":
        return study.fine_tuning.options
    if study.distillation is None:
        raise ConfigurationError("distillation: this study has none; add the section to distil students")
    return study.distillation.options


def selection_metric_of(study: Study, regime: Regime, task_id: str) -> str:
    """What picks the best epoch and trial of a task: "loss" or "score"."""
    stage = study.fine_tuning if regime == "fine-tuning" else study.distillation
    selection = stage.selection if stage else {}
    return _with_selection(stage_options(study, regime), selection, task_id).selection_metric


@cache
def trials_of(study: Study, regime: Regime, model_id: str) -> list[Trial]:
    """All trials of a model over its tasks, in a stable order."""
    stage = study.fine_tuning if regime == "fine-tuning" else study.distillation
    assert stage is not None
    return [
        Trial(
            model=model_id,
            task=task_id,
            batch_size=batch,
            epochs=epochs,
            learning_rate=rate,
            seed=stage.options.seed,
        )
        for task_id, task in study.tasks.items()
        for batch, epochs, rate in _points(_grid(study, regime, model_id, task))
    ]


def _grid(study: Study, regime: Regime, model_id: str, task: Task) -> Grid:
    if regime == "distillation":
        assert study.distillation
        return study.distillation.students[model_id].grid.applied_to(study.distillation.grid)
    return task.grid.applied_to(study.models[model_id].grid.applied_to(study.fine_tuning.grid))


def _points(grid: Grid) -> list[tuple[int, int, str]]:
    return list(product(grid.batch_size, grid.epochs, grid.learning_rate))


@cache
def shards_of(study: Study, regime: Regime, model_id: str) -> list[list[Trial]]:
    """A model's trials cut into shards of `trials_per_job`."""
    stage = study.fine_tuning if regime == "fine-tuning" else study.distillation
    assert stage is not None
    return _chunks(trials_of(study, regime, model_id), stage.trials_per_job)


def one_shard_regimes(study: Study) -> list[Regime]:
    """The regimes in which one job runs all trials of a system."""
    stages: dict[Regime, Training | None] = {
        "fine-tuning": study.fine_tuning,
        "distillation": study.distillation,
    }
    return [regime for regime, stage in stages.items() if stage and stage.trials_per_job == "all"]


class ScoringShard(NamedTuple):
    """What one process scores: these systems on these tasks."""

    systems: list[str]
    tasks: list[str]


def scoring_shards_of(study: Study, regime: Regime) -> list[ScoringShard]:
    """A regime's systems and tasks cut into groups that one process scores."""
    stage = study.fine_tuning if regime == "fine-tuning" else study.distillation
    assert stage is not None
    members = [system for found, system in systems(study) if found == regime]
    return [
        ScoringShard(some, tasks)
        for some in _chunks(members, stage.systems_per_scoring_job)
        for tasks in _chunks(list(study.tasks), stage.tasks_per_scoring_job)
    ]


def _chunks(items: list[Any], size: int | str) -> list[list[Any]]:
    step = len(items) if size == "all" else int(size)
    return [items[start : start + step] for start in range(0, len(items), max(step, 1))]


def systems(study: Study) -> list[tuple[Regime, str]]:
    """Every (regime, model) of the study that can be run, in the order of the tables."""
    fine_tuned: list[tuple[Regime, str]] = [
        ("fine-tuning", model) for model in study.models if model not in study.left_out
    ]
    students = study.distillation.students if study.distillation else {}
    distilled: list[tuple[Regime, str]] = [
        ("distillation", student) for student, spec in students.items() if spec.initial not in study.left_out
    ]
    return [*fine_tuned, *distilled]


def pretrained_models(study: Study) -> list[str]:
    """Ids of the models that are pretrained here."""
    return [model for model, spec in study.models.items() if spec.weights == "pretrain"]


def initial_model(study: Study, regime: Regime, model_id: str) -> str:
    """Id of the model whose weights a system starts from."""
    if regime == "fine-tuning":
        return model_id
    assert study.distillation
    return study.distillation.students[model_id].initial


def tokenizer_of(study: Study, model_id: str) -> str:
    """Id of the vocabulary that a model reads with: a tokenizer trained here, or the model's own."""
    return study.models[model_id].tokenizer or model_id


def system_name(study: Study, regime: Regime, model_id: str) -> str:
    """Name of a system in the tables."""
    if regime == "fine-tuning":
        return study.models[model_id].name
    assert study.distillation
    return study.distillation.students[model_id].name


def shard_job(study: Study, regime: Regime, model_id: str, shard: int) -> ShardJob:
    trials = shards_of(study, regime, model_id)[shard]
    model = study.models[initial_model(study, regime, model_id)]
    options = stage_options(study, regime)
    if model.head_learning_rate_factor is not None:
        options = options.model_copy(update={"head_learning_rate_factor": model.head_learning_rate_factor})
    student = (
        study.distillation.students[model_id] if regime == "distillation" and study.distillation else None
    )
    distillation = study.distillation
    stage: Training = distillation if student and distillation else study.fine_tuning
    task_ids = dict.fromkeys(trial.task for trial in trials)
    return ShardJob(
        regime=regime,
        model_id=model_id,
        model=model.determining_weights(),
        num_hidden_layers=student.num_hidden_layers if student else None,
        initial_layers=student.initial_layers if student else "spread",
        trials=tuple(trials),
        tasks={task: training_view(study.tasks[task]) for task in task_ids},
        options=options,
        selection={
            task: metric
            for task, metric in stage.selection.items()
            if metric != options.selection_metric and task in task_ids
        },
        evaluate_every_steps={
            task: steps
            for task, steps in stage.evaluate_every_steps.items()
            if steps != options.evaluate_every_steps and task in task_ids
        },
        distillation=distillation_settings(distillation) if student and distillation else None,
    )


def distillation_settings(distillation: Distillation) -> dict[str, Any]:
    """What a student's trials depend on, of the section `distillation`."""
    return {
        "alpha": distillation.alpha,
        "temperature": distillation.temperature,
        "loss": distillation.loss,
        "patience": distillation.patience,
        "logits_dtype": distillation.logits_dtype,
        "answer_alignment": distillation.answer_alignment,
        "relations": distillation.relations,
        "relation_weight": distillation.relation_weight,
    }


def training_view(task: Task) -> Task:
    """A task without what training does not see: its grid is in the trials, what was read is in the encoded data."""
    splits = Splits(**{name: split.model_copy(update={"expected": None}) for name, split in task.splits})
    return task.model_copy(update={"grid": Task.model_fields["grid"].default, "note": "", "splits": splits})


def selection_job(study: Study, regime: Regime, model_id: str, task_id: str) -> SelectionJob:
    return SelectionJob(
        regime=regime,
        model_id=model_id,
        task_id=task_id,
        model_name=system_name(study, regime, model_id),
        task_name=study.tasks[task_id].name,
        metric=study.tasks[task_id].metric,
        selection_metric=selection_metric_of(study, regime, task_id),
        trials=tuple(trial for trial in trials_of(study, regime, model_id) if trial.task == task_id),
    )


def selections_job(study: Study, regime: Regime, model_id: str, task_ids: Iterable[str]) -> SelectionsJob:
    return SelectionsJob(
        selections=tuple(selection_job(study, regime, model_id, task_id) for task_id in task_ids)
    )


def scoring_job(study: Study, regime: Regime, shard: int) -> ScoringJob:
    members, tasks = scoring_shards_of(study, regime)[shard]
    return ScoringJob(
        regime=regime,
        systems={system: tokenizer_of(study, initial_model(study, regime, system)) for system in members},
        tasks={task: training_view(study.tasks[task]) for task in tasks},
        options=stage_options(study, regime),
    )


def teacher_job(study: Study, task_id: str) -> TeacherJob:
    return TeacherJob(
        task_id=task_id,
        task_name=study.tasks[task_id].name,
        rule=study.teachers.rule,
        choice=study.teachers.choices.get(task_id),
        candidates={model: study.models[model].name for model in teacher_candidates(study, task_id)},
        number=study.teachers.number,
        weighting=study.teachers.weighting,
    )


def logits_job(study: Study, task_id: str) -> LogitsJob:
    if study.distillation is None:
        raise ConfigurationError("distillation: this study has none; add the section to cache teacher logits")
    options = study.fine_tuning.options
    return LogitsJob(
        task_id=task_id,
        task_type=study.tasks[task_id].type,
        labels=study.tasks[task_id].labels,
        dtype=study.distillation.logits_dtype,
        micro_batch_size=options.micro_batch_size,
        precision=study.distillation.logits_precision or options.precision,
        max_words=study.distillation.options.max_words,
    )


def reporting_job(study: Study) -> ReportingJob:
    irrelevant = {"hardware", "search", "mirror", "sources", "source_registry", "results_dir"}
    models = {
        name: model.model_copy(update={"pretraining": model.pretraining.determining_weights()})
        if model.pretraining
        else model
        for name, model in study.models.items()
    }
    shown = study.model_copy(update={"models": models})
    return ReportingJob(study=shown.model_dump(mode="json", exclude=irrelevant))


def cards_job(study: Study) -> ReportingJob:
    """What model cards tell: beside the study the licences and citations of the tasks' files and of the corpus."""
    corpus = study.corpus.parts if study.corpus else ()
    sources = {
        name: study.sources[name].model_dump(mode="json", include={"licence", "citation"})
        for name in (*corpus, *(name for task in study.tasks for name in task_sources(study, task)))
    }
    return ReportingJob(study={**reporting_job(study).study, "sources": sources})
