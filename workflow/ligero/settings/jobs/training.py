"""Jobs that train, select and score: shards of trials of fine-tuning and distillation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field, PositiveInt

from ligero.settings.base import Identifier
from ligero.settings.distillation import Distillation, InitialLayers, Learning
from ligero.settings.jobs.base import Job
from ligero.settings.jobs.tasks import TaskSpec
from ligero.settings.models import Architecture, Model
from ligero.settings.plan import (
    Trial,
    initial_model,
    scoring_shards_of,
    selection_metric_of,
    shards_of,
    stage_of,
    tokenizer_of,
    trials_of,
)
from ligero.settings.study import Regime, Study
from ligero.settings.training import TrainingOptions


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


def scoring_job(study: Study, regime: Regime, shard: int) -> ScoringJob:
    """The job of one scoring shard: its systems, tasks and options; selected models and encoded test sets are inputs."""
    members, tasks = scoring_shards_of(study, regime)[shard]
    return ScoringJob(
        regime=regime,
        systems={system: tokenizer_of(study, initial_model(study, regime, system)) for system in members},
        tasks={task: TaskSpec.of(study.tasks[task]) for task in tasks},
        options=stage_of(study, regime).options,
    )
