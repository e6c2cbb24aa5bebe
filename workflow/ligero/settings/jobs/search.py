"""Jobs of the searches over distillation's hyper-parameters."""

from __future__ import annotations

from ligero.common.errors import ConfigurationError
from ligero.settings.jobs.base import Job
from ligero.settings.jobs.training import ShardJob, StudentLearning, shard_job
from ligero.settings.plan import Trial, shards_of
from ligero.settings.search import Search
from ligero.settings.study import Study


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
    trial = first.model_copy(
        update={"batch_size": search.batch_size or first.batch_size, "epochs": search.epochs or first.epochs}
    )
    learning = StudentLearning.of(study.distillation)
    # Replaced in every trial of the search, so the configuration's values must not affect the digest.
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
