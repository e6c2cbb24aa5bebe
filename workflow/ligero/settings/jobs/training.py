"""Jobs that train, select and score: shards of trials of fine-tuning and distillation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field, PositiveInt

from ligero.settings.base import Identifier
from ligero.settings.distillation import Distillation, InitialLayers, Learning
from ligero.settings.jobs.base import Job
from ligero.settings.jobs.tasks import training_view
from ligero.settings.models import Model
from ligero.settings.plan import (
    Trial,
    initial_model,
    scoring_shards_of,
    selection_metric_of,
    shards_of,
    stage_of,
    system_name,
    tokenizer_of,
    trials_of,
)
from ligero.settings.study import Regime, Study
from ligero.settings.tasks import Task
from ligero.settings.training import TrainingOptions


class StudentLearning(Learning):
    """How the trials of a shard learn from cached logits."""

    patience: int | None
    """Stop after more than this many epochs without a strictly lower validation loss; null runs all epochs."""

    @classmethod
    def of(cls, distillation: Distillation) -> StudentLearning:
        """As the section `distillation` says."""
        return cls(**{name: getattr(distillation, name) for name in cls.model_fields})


class ShardJob(Job):
    """Trials that run in one process: all of one model (or student)."""

    regime: Regime
    model_id: Identifier
    model: Model
    """Of the model itself, or of the student's initial model."""
    num_hidden_layers: int | None
    initial_layers: InitialLayers = "spread"
    trials: tuple[Trial, ...]
    tasks: dict[Identifier, Task]
    options: TrainingOptions
    selection: dict[Identifier, Literal["loss", "score"]] = Field(default_factory=dict)
    """The tasks of the shard whose selection differs from the options'."""
    evaluate_every_steps: dict[Identifier, PositiveInt] = Field(default_factory=dict)
    """The tasks of the shard that are validated after another number of steps than the options say."""
    distillation: StudentLearning | None
    """Null in fine-tuning, and for methods of an ablation that learn from gold labels."""

    def options_of(self, task_id: str) -> TrainingOptions:
        """The options with which a task's trials run."""
        chosen = {
            "selection_metric": self.selection.get(task_id, self.options.selection_metric),
            "evaluate_every_steps": self.evaluate_every_steps.get(task_id, self.options.evaluate_every_steps),
        }
        return self.options.model_copy(update=chosen)


def shard_job(study: Study, regime: Regime, model_id: str, shard: int) -> ShardJob:
    trials = shards_of(study, regime, model_id)[shard]
    model = study.models[initial_model(study, regime, model_id)]
    stage = stage_of(study, regime)
    options = stage.options
    if model.head_learning_rate_factor is not None:
        options = options.model_copy(update={"head_learning_rate_factor": model.head_learning_rate_factor})
    student = (
        study.distillation.students[model_id] if regime == "distillation" and study.distillation else None
    )
    distillation = study.distillation
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
        distillation=StudentLearning.of(distillation) if student and distillation else None,
    )


class SelectionJob(Job):
    regime: Regime
    model_id: Identifier
    task_id: Identifier
    model_name: str
    task_name: str
    metric: str
    selection_metric: str
    trials: tuple[Trial, ...]


class SelectionsJob(Job):
    """The selections that one process makes."""

    selections: tuple[SelectionJob, ...]


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


class ScoringJob(Job):
    """Test sets that one process scores, for one system or several."""

    regime: Regime
    systems: dict[Identifier, Identifier]
    """System id to the vocabulary that it reads with."""
    tasks: dict[Identifier, Task]
    options: TrainingOptions


def scoring_job(study: Study, regime: Regime, shard: int) -> ScoringJob:
    members, tasks = scoring_shards_of(study, regime)[shard]
    return ScoringJob(
        regime=regime,
        systems={system: tokenizer_of(study, initial_model(study, regime, system)) for system in members},
        tasks={task: training_view(study.tasks[task]) for task in tasks},
        options=stage_of(study, regime).options,
    )
