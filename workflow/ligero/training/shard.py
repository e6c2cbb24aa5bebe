"""The trials that share a process: one model over its tasks, weights and data read once."""

from __future__ import annotations

import copy
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from ligero.models.digests import check_weights
from ligero.settings.jobs import ShardJob
from ligero.settings.plan import Trial
from ligero.settings.tasks import Task
from ligero.training.cleanup import finished_of, prune
from ligero.training.data import EncodedSplit
from ligero.training.digests import (
    family_of,
    finished_result,
    identity_of,
    settings_of,
)
from ligero.training.evaluate import Predictions
from ligero.training.objective import GoldObjective, Objective
from ligero.training.scoring import Examples, score_predictions
from ligero.training.selection import best_trial
from ligero.training.trial import TrialSpec, Validation, run_trial


class Objectives(Protocol):
    """Where the trials of a shard get their objective from."""

    def fingerprint(self, task_id: str) -> Any:
        """What the objective of a task depends on beyond the job's settings (JSON value); part of a trial's identity."""
        ...

    def build(self, task_id: str, task: Task, train: EncodedSplit) -> Objective:
        """The objective of a task; called once a task, with the split that its rows index."""
        ...


class GoldObjectives:
    """Fine-tuning: the gold labels."""

    def fingerprint(self, task_id: str) -> Any:
        return None

    def build(self, task_id: str, task: Task, train: EncodedSplit) -> Objective:
        return GoldObjective(task.type)


def run_shard(
    job: ShardJob,
    *,
    weights: Path,
    encoded_dir: Path,
    examples_dir: Path,
    state_dir: Path,
    objectives: Objectives | None = None,
    grid: Sequence[Trial] | None = None,
) -> list[dict[str, Any]]:
    """Run the shard's trials in order and return their results; finished ones are only read.

    The best of the grid's finished trials has its weights in the end, where it is one of the shard's: a grid that lost its best
    trial has another one, whose weights are long gone, and that one is trained again.

    Args:
        job: trials, tasks and options.
        weights: model folder that every trial starts from.
        encoded_dir: `R/encoded/TOKENIZER`, with a folder a task.
        examples_dir: `R/tasks`, whose validation examples hold the answers that trials are scored by.
        state_dir: `R/state/REGIME/MODEL`; trial T of task K lives in `K/T`.
        objectives: defaults to the gold labels.
        grid: all trials of the model, those of other shards too; of a task's finished ones only the best keeps its weights.
            Defaults to the shard's own.
    """
    shard = _Shard(
        job, weights, encoded_dir, examples_dir, state_dir, objectives or GoldObjectives(), grid or job.trials
    )
    results = [shard.run(trial) for trial in job.trials]
    return [
        shard.with_weights_of_best(trial, result) for trial, result in zip(job.trials, results, strict=True)
    ]


class _Shard:
    """A shard while its trials run."""

    def __init__(
        self,
        job: ShardJob,
        weights: Path,
        encoded_dir: Path,
        examples_dir: Path,
        state_dir: Path,
        objectives: Objectives,
        grid: Sequence[Trial],
    ) -> None:
        self.job, self.weights, self.grid, self.objectives = job, weights, grid, objectives
        self.encoded_dir, self.examples_dir, self.state_dir = encoded_dir, examples_dir, state_dir
        self._weights_digest = check_weights(weights)
        self._left = Counter(trial.task for trial in job.trials)
        self._families: dict[str, str] = {}
        self._current: _TaskData | None = None

    def run(self, trial: Trial) -> dict[str, Any]:
        """The trial's result; a finished one is only read."""
        self._left[trial.task] -= 1
        spec = self._spec(trial)
        return finished_result(spec.folder, spec.determined_by) or self._train(trial, spec)

    def with_weights_of_best(self, trial: Trial, result: dict[str, Any]) -> dict[str, Any]:
        """The result, of a second training where the trial is the best of the finished ones and its weights are gone.

        They go while another trial is better; a grid from which that one was taken has a best without weights.
        """
        spec = self._spec(trial)
        finished = finished_of(self.state_dir / trial.task, self._task_grid(trial.task), spec.family)
        if not finished or best_trial(finished, spec.options.selection_metric)["id"] != trial.id:
            return result
        if (spec.folder / "best" / "config.json").is_file():
            return result
        print(f"{spec.folder}: the best trial's weights are gone; it is trained again", file=sys.stderr)
        (spec.folder / "result.json").unlink()
        return self._train(trial, spec)

    def _train(self, trial: Trial, spec: TrialSpec) -> dict[str, Any]:
        task = self.job.tasks[trial.task]
        if self._current is None or self._current.task_id != trial.task:
            encoded, examples = self.encoded_dir / trial.task, self.examples_dir / trial.task
            self._current = _TaskData(self.job, trial.task, self.weights, encoded, examples, self.objectives)
        data, last = self._current, not self._left[trial.task]
        result = run_trial(
            spec,
            data.objective,
            load_model=lambda: data.model(last),
            save_model=_saver(task, self.weights),
            train=data.train,
            validation=data.validation,
        )
        grid = self._task_grid(trial.task)
        prune(self.state_dir / trial.task, grid, spec.family, spec.options.selection_metric)
        return result

    def _spec(self, trial: Trial) -> TrialSpec:
        family = self._family(trial.task)
        return TrialSpec(
            trial=trial,
            options=self.job.options_of(trial.task),
            folder=self.state_dir / trial.task / trial.id,
            determined_by=identity_of(trial, family),
            family=family,
            patience=self.job.distillation.patience if self.job.distillation else None,
            settings=settings_of(self.job, trial.task),
        )

    def _family(self, task_id: str) -> str:
        if task_id not in self._families:
            fingerprint = self.objectives.fingerprint(task_id)
            self._families[task_id] = family_of(
                self.job, task_id, self._weights_digest, self.encoded_dir / task_id, fingerprint
            )
        return self._families[task_id]

    def _task_grid(self, task_id: str) -> list[Trial]:
        return [trial for trial in self.grid if trial.task == task_id]


class _TaskData:
    """What the trials of one task share; each part is made when first needed."""

    def __init__(
        self,
        job: ShardJob,
        task_id: str,
        weights: Path,
        folder: Path,
        examples: Path,
        objectives: Objectives,
    ) -> None:
        self.job, self.task_id, self.task = job, task_id, job.tasks[task_id]
        self.weights, self.folder, self.examples, self.objectives = weights, folder, examples, objectives
        self._pristine: nn.Module | None = None

    @cached_property
    def train(self) -> EncodedSplit:
        return EncodedSplit.load(self.folder / "train.parquet", self.task.type, self.job.options)

    @cached_property
    def validation(self) -> Validation:
        split = EncodedSplit.load(self.folder / "validation.parquet", self.task.type, self.job.options)
        examples = Examples.load(self.examples / "validation.parquet", self.task.type)

        def score(predictions: Predictions) -> float:
            return score_predictions(self.task, self.job.options, predictions, split, examples).score

        return Validation(split, score)

    @cached_property
    def objective(self) -> Objective:
        return self.objectives.build(self.task_id, self.task, self.train)

    def model(self, last: bool) -> nn.Module:
        """A fresh model at its start; read from disk once, the last trial gets the original."""
        from ligero.models.heads import load_for_task

        if self._pristine is None:
            self._pristine = load_for_task(
                self.weights,
                self.task.type,
                self.task.labels,
                self.job.num_hidden_layers,
                self.job.options.seed,
                self.job.initial_layers,
            )
        if not last:
            return copy.deepcopy(self._pristine)
        model, self._pristine = self._pristine, None
        return model


def _saver(task: Task, weights: Path) -> Callable[[nn.Module, Path], None]:
    from ligero.models.heads import save_for_task

    def save(model: nn.Module, folder: Path) -> None:
        save_for_task(model.to(torch.device("cpu")), folder, task.labels, weights)

    return save
