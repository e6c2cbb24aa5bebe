"""Jobs that train: pretraining, teachers and their logits, shards of trials and their scores, searches, the ablation."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveInt

from ligero.common.errors import ConfigurationError
from ligero.settings.base import Identifier, Precision, UnscaledPrecision, switched_off
from ligero.settings.distillation import Distillation, InitialLayers, Learning
from ligero.settings.jobs.base import Job
from ligero.settings.jobs.data import TaskSpec
from ligero.settings.models import Architecture, HubModel, Model
from ligero.settings.plan import (
    Trial,
    ablation_sections,
    ablation_trial,
    exits_early,
    initial_model,
    scoring_shards_of,
    selection_metric_of,
    shards_of,
    stage_of,
    stops_some,
    teacher_candidates,
    tokenizer_of,
    trials_of,
)
from ligero.settings.pretraining import Pretraining
from ligero.settings.study import Regime, Study
from ligero.settings.tasks import TaskType
from ligero.settings.tokenizers import Tokenizer
from ligero.settings.training import METHOD_SETTINGS, Halving, Method, Search, TrainingOptions


class PretrainingJob(Job):
    """Pretrain one model."""

    model_id: Identifier
    architecture: Architecture
    recipe: Pretraining
    tokenizer: Tokenizer

    def determining(self) -> PretrainingJob:
        """The part of the job on which the weights of a run that does not diverge depend."""
        return self.model_copy(update={"recipe": self.recipe.determining_weights()})


def pretraining_job(study: Study, model_id: str) -> PretrainingJob:
    """The job of a model's pretraining: its shape, its recipe and its tokenizer's settings; the text itself is an input.

    Names, grids and the settings of fine-tuning are not part of it, and of the recipe only what affects the weights
    (`PretrainingJob.determining`).
    """
    model = study.models[model_id]
    assert model.pretraining and model.tokenizer
    return PretrainingJob(
        model_id=model_id,
        architecture=model.architecture,
        recipe=model.pretraining,
        tokenizer=study.tokenizers[model.tokenizer],
    )


class StatesJob(Job):
    """Run a teacher over a part of the corpus and cache its states for one student's pretraining."""

    model_id: Identifier
    teacher: Identifier
    layers: tuple[int, ...]
    dimensions: int
    tokens: int
    window: int
    """Longest input of the teacher: as long as the student's, if it can read so much."""
    precision: UnscaledPrecision
    seed: int


def states_job(study: Study, model_id: str) -> StatesJob:
    """The job of the states that a model is pretrained on; the text, both tokenizers and the teacher's weights are its inputs."""
    recipe = study.models[model_id].pretraining
    assert recipe and recipe.teacher
    teacher = study.models[recipe.teacher.model].architecture
    return StatesJob(
        model_id=model_id,
        teacher=recipe.teacher.model,
        layers=recipe.teacher.layers_of(teacher.num_hidden_layers),
        dimensions=recipe.teacher.dimensions,
        tokens=recipe.teacher.tokens,
        window=min(recipe.sequence_length, teacher.longest_input),
        precision=recipe.precision,
        seed=recipe.seed,
    )


class WeightsJob(Job):
    """Fetch or copy weights from the hub or a local folder, convert and check them."""

    model_id: Identifier
    architecture: Architecture
    weights: str
    hub: HubModel | None
    local: str | None
    lower_case: bool | None
    initial_layers: InitialLayers | None = None


def weights_job(study: Study, model_id: str) -> WeightsJob:
    """The job of a model with `weights: hub` or `local`; the files of a local folder are its inputs."""
    model = study.models[model_id]
    return WeightsJob(
        model_id=model_id,
        architecture=model.architecture,
        weights=model.weights,
        hub=model.hub,
        local=model.local,
        lower_case=model.lower_case,
        initial_layers=model.initial_layers,
    )


def local_files(study: Study, model_id: str) -> list[str]:
    """The files of a model's local folder, which are inputs of the rule that copies and checks it."""
    local = study.models[model_id].local if study.models[model_id].weights == "local" else None
    if not local:
        return []
    files = (path for path in Path(local).glob("*") if path.is_file())
    return sorted(str(path) for path in files if not path.name.startswith("."))


class TeacherJob(Job):
    """Choose the teacher of one task."""

    task_id: Identifier
    task_name: str
    rule: str
    choice: Identifier | None
    candidates: dict[Identifier, str]
    """Names by model id."""
    number: int = 1
    weighting: str = "mean"


def teacher_job(study: Study, task_id: str) -> TeacherJob:
    """The job of a task's teacher: the rule and the candidates; their selections, with validation losses, are inputs.

    Raises:
        ConfigurationError: the rule is 'published', and the thesis' teacher of the task is missing.
    """
    return TeacherJob(
        task_id=task_id,
        task_name=study.tasks[task_id].name,
        rule=study.teachers.rule,
        choice=study.teachers.choices.get(task_id),
        candidates={model: study.models[model].name for model in teacher_candidates(study, task_id)},
        number=study.teachers.number,
        weighting=study.teachers.weighting,
    )


class StaticEmbeddingsJob(Job):
    """Score logistic regression on the static embeddings of a task's teacher."""

    task_id: Identifier
    task: TaskSpec
    teachers: dict[Identifier, str]
    """Names of the candidates by model id."""
    seed: int
    """Of the sample, and of the bootstrap for the intervals."""


def static_embeddings_job(study: Study, task_id: str) -> StaticEmbeddingsJob:
    """The job of a task's static embeddings; the teacher, the encoded task and its examples are inputs."""
    return StaticEmbeddingsJob(
        task_id=task_id,
        task=TaskSpec.of(study.tasks[task_id]),
        teachers={model: study.models[model].name for model in teacher_candidates(study, task_id)},
        seed=study.fine_tuning.options.seed,
    )


class LogitsJob(Job):
    """Cache the logits of a task's teacher on the training split."""

    task_id: Identifier
    task_type: TaskType
    labels: tuple[str, ...]
    dtype: Literal["float16", "float32"]
    micro_batch_size: int | None
    precision: Precision
    max_words: int | None
    """The students' limit on words, so that the teacher reads the same words."""


def logits_job(study: Study, task_id: str) -> LogitsJob:
    """The job of a task's cached logits: how the teacher runs and what is stored; the teacher and the encoded task are inputs.

    Raises:
        ConfigurationError: the study has no distillation.
    """
    if study.distillation is None:
        raise ConfigurationError(
            "distillation: the study has no such section; add it to cache teacher logits"
        )
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


class LogitsJobs(Job):
    """Cache logits on some tasks in one process."""

    caches: tuple[LogitsJob, ...]


def logits_jobs(study: Study, task_ids: Iterable[str]) -> LogitsJobs:
    """The job of the cached logits of some tasks.

    Raises:
        ConfigurationError: the study has no distillation.
    """
    return LogitsJobs(caches=tuple(logits_job(study, task_id) for task_id in task_ids))


class StudentLearning(Learning):
    """How the trials of a shard learn from cached logits."""

    patience: int | None
    """Stop after more than this many epochs without a strictly lower validation loss; null runs all epochs."""

    @classmethod
    def of(cls, distillation: Distillation) -> StudentLearning:
        """The settings of the section `distillation`."""
        return cls(**{name: getattr(distillation, name) for name in cls.model_fields})


class ShardJob(Job):
    """Train some trials of one model or student in one process."""

    regime: Regime
    model_id: Identifier
    architecture: Architecture
    """Of the model itself, or of the student's initial model."""
    num_hidden_layers: int | None
    """Layers of the student, where they differ from the initial model's."""
    initial_layers: InitialLayers = "spread"
    trials: tuple[Trial, ...]
    tasks: dict[Identifier, TaskSpec]
    options: TrainingOptions
    selection: dict[Identifier, Literal["loss", "score"]] = Field(default_factory=dict)
    """By task id: what selects its best epoch, where it differs from the options."""
    evaluate_every_steps: dict[Identifier, PositiveInt] = Field(default_factory=dict)
    """By task id: steps between validations, where they differ from the options."""
    distillation: StudentLearning | None
    """Null for fine-tuning, and for methods of an ablation that learn from gold labels."""
    early_exit: bool = Field(False, exclude_if=switched_off)
    """Whether every repetition of the layer learns, and not only the last."""
    halving: Halving | None = Field(None, exclude_if=switched_off)
    """How losing trials stop early; null where none does."""

    def options_of(self, task_id: str) -> TrainingOptions:
        """The training options of a task's trials."""
        chosen = {
            "selection_metric": self.selection.get(task_id, self.options.selection_metric),
            "evaluate_every_steps": self.evaluate_every_steps.get(task_id, self.options.evaluate_every_steps),
        }
        return self.options.model_copy(update=chosen)


def shard_job(study: Study, regime: Regime, model_id: str, shard: int) -> ShardJob:
    """The job of one shard of a system's trials: their points of the grid, their tasks, and every option of the training loop.

    Weights, encoded tasks and logits are inputs. Trials that are finished and did not change are not run again when the shard is:
    each has a digest of its own (`ligero.training.digests`). Of tasks and models, only those of the shard are part of the job.

    Raises:
        ConfigurationError: the study has no distillation.
    """
    trials = shards_of(study, regime, model_id)[shard]
    model = study.models[initial_model(study, regime, model_id)]
    stage = stage_of(study, regime)
    options = options_for(model, stage.options)
    student = (
        study.distillation.students[model_id] if regime == "distillation" and study.distillation else None
    )
    distillation = study.distillation
    task_ids = dict.fromkeys(trial.task for trial in trials)
    return ShardJob(
        regime=regime,
        model_id=model_id,
        architecture=model.architecture,
        num_hidden_layers=student.num_hidden_layers if student else None,
        initial_layers=student.initial_layers if student else "spread",
        trials=tuple(trials),
        tasks={task: TaskSpec.of(study.tasks[task]) for task in task_ids},
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
        distillation=StudentLearning.of(distillation) if student and distillation else None,
        early_exit=exits_early(study, regime, model_id),
        halving=stage.halving if stage.halving and stops_some(trials, stage.halving) else None,
    )


def options_for(model: Model, options: TrainingOptions) -> TrainingOptions:
    """A stage's options with the factor on the head's learning rate that a model sets itself."""
    factor = model.head_learning_rate_factor
    return options if factor is None else options.model_copy(update={"head_learning_rate_factor": factor})


class SelectionJob(Job):
    """Select the best trial of one system on one task."""

    regime: Regime
    model_id: Identifier
    task_id: Identifier
    metric: str
    selection_metric: str
    trials: tuple[Trial, ...]


class SelectionsJob(Job):
    """Selections of one system that are made in one process."""

    selections: tuple[SelectionJob, ...]


def selection_job(study: Study, regime: Regime, model_id: str, task_id: str) -> SelectionJob:
    """One selection: the trials to select from, and by what. The trials' results are inputs."""
    return SelectionJob(
        regime=regime,
        model_id=model_id,
        task_id=task_id,
        metric=study.tasks[task_id].metric,
        selection_metric=selection_metric_of(study, regime, task_id),
        trials=tuple(trial for trial in trials_of(study, regime, model_id) if trial.task == task_id),
    )


def selections_job(study: Study, regime: Regime, model_id: str, task_ids: Iterable[str]) -> SelectionsJob:
    """The job of a system's selections on some tasks."""
    return SelectionsJob(
        selections=tuple(selection_job(study, regime, model_id, task_id) for task_id in task_ids)
    )


class ScoringJob(Job):
    """Score some systems on some test sets in one process."""

    regime: Regime
    systems: dict[Identifier, Identifier]
    """Tokenizer id by system id."""
    tasks: dict[Identifier, TaskSpec]
    options: TrainingOptions


def scoring_job(study: Study, regime: Regime, shard: str) -> ScoringJob:
    """The job of one scoring shard: its systems, tasks and options; selected models and encoded test sets are inputs."""
    members, tasks = scoring_shards_of(study, regime)[shard]
    return ScoringJob(
        regime=regime,
        systems={system: tokenizer_of(study, initial_model(study, regime, system)) for system in members},
        tasks={task: TaskSpec.of(study.tasks[task]) for task in tasks},
        options=stage_of(study, regime).options,
    )


class SearchJob(Job):
    """Search hyper-parameters for one student on one task."""

    shard: ShardJob
    """With a single trial, whose learning rate is replaced in every trial of the search."""
    trials: int
    """Finished trials at which the search ends."""

    @property
    def trial(self) -> Trial:
        return self.shard.trials[0]

    @property
    def name(self) -> str:
        """Name of Optuna's study in the journal."""
        return f"{self.trial.model}-{self.trial.task}"


def search_job(study: Study, student: str, task: str) -> SearchJob:
    """The job of one search, the same for all of its workers and for its report.

    The hyper-parameters that are searched have fixed values in it: the configuration's own do not affect a search.

    Raises:
        ConfigurationError: there is no such student or task.
    """
    if study.distillation is None or student not in study.distillation.students or task not in study.tasks:
        raise ConfigurationError(
            f"no search of student '{student}' on task '{task}': one of them is not configured"
        )
    search = study.search or Search()
    number, first = next(
        (number, trial)
        for number, shard in enumerate(shards_of(study, "distillation", student))
        for trial in shard
        if trial.task == task
    )
    shard = shard_job(study, "distillation", student, number)
    # Replaced in every trial of the search, so the configuration's values must not affect the digest.
    searched: dict[str, object] = {"alpha": 0.0, "temperature": 1.0, "loss": "kl"}
    trial = first.model_copy(
        update={
            "batch_size": search.batch_size or first.batch_size,
            "epochs": search.epochs or first.epochs,
            "learning_rate": "1e-4",
        }
    )
    learning = StudentLearning.of(study.distillation)
    if search.patience is not None:
        searched["patience"] = search.patience
    return SearchJob(
        shard=shard.model_copy(
            update={
                "trials": (trial,),
                "tasks": {task: shard.tasks[task]},
                "selection": {},
                "evaluate_every_steps": {},
                "halving": None,
                "distillation": learning.model_copy(update=searched),
            }
        ),
        trials=search.trials,
    )


class AblationJob(Job):
    """Train and score one method on one task with one seed."""

    method: Identifier
    shard: ShardJob
    """With a single trial; its `distillation` is null if the method learns from gold labels."""
    augmented: bool = False
    """Whether it also trains on unlabelled examples."""


def ablation_job(study: Study, task_id: str, method_id: str, seed: int) -> AblationJob:
    """The job of one run: the options of `distillation` with the method's overrides and the seed.

    Other methods, tasks and seeds of the ablation are not part of it, so adding one trains that one only.

    Raises:
        ConfigurationError: the study has no ablation.
    """
    ablation, distillation = ablation_sections(study)
    method = ablation.methods[method_id]
    student = distillation.students[ablation.student]
    model = study.models[student.initial]
    options = options_for(model, distillation.options.model_copy(update={"seed": seed}))
    return AblationJob(
        method=method_id,
        augmented=method.augmented,
        shard=ShardJob(
            regime="fine-tuning" if method.objective == "gold" else "distillation",
            model_id=ablation.student,
            architecture=model.architecture,
            num_hidden_layers=student.num_hidden_layers,
            initial_layers=student.initial_layers,
            trials=(ablation_trial(ablation, task_id, method_id, seed),),
            tasks={task_id: TaskSpec.of(study.tasks[task_id])},
            options=options,
            distillation=_learning(distillation, method) if method.objective == "distilled" else None,
            early_exit=student.early_exit,
        ),
    )


def _learning(distillation: Distillation, method: Method) -> StudentLearning:
    """The section `distillation` with the method's overrides; no patience, so that every method runs all its epochs."""
    chosen = {key: getattr(method, key) for key in METHOD_SETTINGS if getattr(method, key) is not None}
    return StudentLearning.of(distillation).model_copy(update={**chosen, "patience": None})
