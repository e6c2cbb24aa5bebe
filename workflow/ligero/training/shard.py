"""The trials that share a process: one model over its tasks, weights and data read once."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Protocol

from ligero.common.errors import DataError
from ligero.models.digests import check_weights
from ligero.settings.jobs import ShardJob, TaskSpec
from ligero.settings.plan import Trial
from ligero.training.exits import with_exits
from ligero.training.features import EncodedSplit
from ligero.training.halving import losers
from ligero.training.losing_weights import best_finished, keep_best_weights
from ligero.training.objective import GoldObjective, Objective
from ligero.training.planned_trials import PlannedTrial, check_best, plan_trials
from ligero.training.records import TrialRecord, write_trial
from ligero.training.task_data import TaskData
from ligero.training.trial import run_trial


class Objectives(Protocol):
    """Where the trials of a shard get their objective from."""

    def digest(self, task_id: str) -> str:
        """Of what the objective of a task depends on beyond the job's settings; part of a trial's digest."""
        ...

    def build(self, task_id: str, task: TaskSpec, train: EncodedSplit) -> Objective:
        """The objective of a task; called once per task, with the split that its rows index."""
        ...


class GoldObjectives:
    """Fine-tuning: the gold labels."""

    def __init__(self, early_exit: bool = False) -> None:
        self._early_exit = early_exit

    def digest(self, task_id: str) -> str:
        return "gold"

    def build(self, task_id: str, task: TaskSpec, train: EncodedSplit) -> Objective:
        return with_exits(GoldObjective(task.type), task.type, self._early_exit)


def run_shard(
    job: ShardJob,
    *,
    weights: Path,
    encoded_dir: Path,
    examples_dir: Path,
    state_dir: Path,
    objectives: Objectives | None = None,
    grid: Sequence[Trial] | None = None,
) -> list[TrialRecord]:
    """Run the shard's trials in order and return their outcomes; finished ones are only read.

    The best of the grid's finished trials has its weights in the end, intact, where it is one of the shard's: a grid that lost its
    best trial has another one, whose weights were deleted long ago, and that one is trained again.

    Args:
        job: trials, tasks and options.
        weights: model folder that every trial starts from.
        encoded_dir: `R/encoded/TOKENIZER`, with a folder for each task; examples_dir: `R/tasks`.
        state_dir: `R/state/REGIME/MODEL`; trial T of task K lives in `K/T`.
        objectives: defaults to the gold labels.
        grid: all trials of the model, those of other shards too; of a task's finished ones only the best keeps its weights.
            Defaults to the shard's own.
    """
    objectives = objectives or GoldObjectives(job.early_exit)
    plan = plan_trials(
        job,
        list(dict.fromkeys([*(grid or ()), *job.trials])),
        weights_digest=check_weights(weights),
        encoded_dir=encoded_dir,
        state_dir=state_dir,
        objectives=objectives,
    )
    shard = _Shard(job, plan, objectives, weights, encoded_dir, examples_dir)
    records = []
    for _, trials in groupby(job.trials, key=lambda trial: trial.task):
        of_task = [plan[trial] for trial in trials]
        shard.stop_losers(of_task)
        records += [shard.run(planned) for planned in of_task]
    return [
        shard.with_weights_of_best(plan[trial], record)
        for trial, record in zip(job.trials, records, strict=True)
    ]


class _Shard:
    """A shard while its trials run."""

    def __init__(
        self,
        job: ShardJob,
        plan: dict[Trial, PlannedTrial],
        objectives: Objectives,
        weights: Path,
        encoded_dir: Path,
        examples_dir: Path,
    ) -> None:
        self._job, self._plan, self._objectives, self._weights = job, plan, objectives, weights
        self._encoded_dir, self._examples_dir = encoded_dir, examples_dir
        self._left = Counter(trial.task for trial in job.trials)
        self._stopped: dict[Trial, TrialRecord] = {}
        self._data: TaskData | None = None
        self._objective: Objective | None = None

    def stop_losers(self, of_task: Sequence[PlannedTrial]) -> None:
        """Train a task's trials as far as successive halving, where the job has it, needs to know which of them stop.

        The outcome follows from the configuration alone: a trial that was trained to its end before, and now loses, is recorded as
        one that stopped. Its own folder keeps the whole, for a job without halving.
        """
        halving, by_trial = self._job.halving, {planned.trial: planned for planned in of_task}
        if halving is None:
            return
        metric = of_task[0].options.selection_metric
        decided = losers(
            list(by_trial), halving, metric, lambda trial, epochs: self._reach(by_trial[trial], epochs)
        )
        for trial, record in decided:
            planned, at = by_trial[trial], record["halved"]
            self._stopped[trial] = record
            if planned.finished() is None:
                write_trial(planned.folder, record)
                planned.forget_progress()
            print(f"{planned.label}: stopped after epoch {at['epoch']}, place {at['place']} of {at['of']}")

    def _reach(self, planned: PlannedTrial, epochs: int) -> TrialRecord:
        """The outcome of a trial that has run for so many epochs at least, or to its end."""
        if (record := planned.finished()) is not None:
            return record
        if (record := planned.halved()) is not None and record["curve"][-1]["epoch"] >= epochs:
            return record
        return self._train(planned, until=epochs)

    def run(self, planned: PlannedTrial) -> TrialRecord:
        """The trial's outcome; a finished one is only read."""
        self._left[planned.trial.task] -= 1
        if (record := self._stopped.get(planned.trial)) is not None:
            return record
        if (record := planned.finished()) is None:
            return self._train(planned)
        planned.forget_progress()  # a kill right after the outcome was written leaves it
        return record

    def with_weights_of_best(self, planned: PlannedTrial, record: TrialRecord) -> TrialRecord:
        """The outcome; trained again where the trial is the best of the finished ones and its weights are missing or damaged."""
        if best_finished(self._group(planned), planned.options.selection_metric) is not planned:
            return record
        try:
            if check_best(planned.best, remedy="") == record["weights_digest"]:
                return record
            problem = "they are not the trial's"
        except DataError as error:
            problem = str(error)
        print(f"{planned.label}: the best trial is trained again for its weights: {problem}", file=sys.stderr)
        return self._train(planned, replacing=record)

    def _train(
        self, planned: PlannedTrial, replacing: TrialRecord | None = None, until: int | None = None
    ) -> TrialRecord:
        task_id = planned.trial.task
        if self._data is None or self._objective is None or self._data.task_id != task_id:
            self._data = TaskData(
                self._job,
                task_id,
                weights=self._weights,
                encoded_dir=self._encoded_dir,
                examples_dir=self._examples_dir,
            )
            self._objective = self._objectives.build(task_id, self._data.task, self._data.train)
        data, last = self._data, not self._left[task_id]
        record = run_trial(
            planned,
            self._objective,
            load_model=lambda: data.model(last),
            save_model=data.save,
            train=data.train,
            validation=data.validation,
            replacing=replacing,
            until=until,
        )
        keep_best_weights(self._group(planned), planned.options.selection_metric)
        return record

    def _group(self, planned: PlannedTrial) -> list[PlannedTrial]:
        """All trials of the grid on a trial's task that may be selected."""
        return [
            other
            for trial, other in self._plan.items()
            if trial.task == planned.trial.task and trial not in self._stopped
        ]
