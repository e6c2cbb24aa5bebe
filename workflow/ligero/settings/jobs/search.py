"""Jobs of the searches over distillation's hyper-parameters."""

from __future__ import annotations

from ligero.common.errors import ConfigurationError
from ligero.settings.jobs.base import Job
from ligero.settings.jobs.training import ShardJob, StudentLearning, shard_job
from ligero.settings.plan import Trial, shards_of
from ligero.settings.search import Search
from ligero.settings.study import Study


class SearchJob(Job):
    """The search for one student and task."""

    shard: ShardJob
    """With a single trial, whose learning rate every trial of the search replaces."""
    trials: int

    @property
    def trial(self) -> Trial:
        return self.shard.trials[0]

    @property
    def name(self) -> str:
        """Of the study in its journal."""
        return f"{self.trial.model}-{self.trial.task}"


def search_job(study: Study, student: str, task: str) -> SearchJob:
    """The job of all workers of one search.

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
    trial = first.model_copy(
        update={"batch_size": search.batch_size or first.batch_size, "epochs": search.epochs or first.epochs}
    )
    learning = StudentLearning.of(study.distillation)
    # What the search replaces in every trial must not make another study of it when the configuration changes.
    searched: dict[str, object] = {"alpha": 0.0, "temperature": 1.0, "loss": "kl"}
    if search.patience is not None:
        searched["patience"] = search.patience
    return SearchJob(
        shard=shard.model_copy(
            update={
                "trials": (trial,),
                "tasks": {task: shard.tasks[task]},
                "selection": {},
                "evaluate_every_steps": {},
                "distillation": learning.model_copy(update=searched),
            }
        ),
        trials=search.trials,
    )
