"""The trials that share a process: one model over its tasks, weights and data read once."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from ligero.settings.jobs import ShardJob, Trial
from ligero.settings.tasks import Task
from ligero.training.data import EncodedSplit
from ligero.training.evaluate import Predictions
from ligero.training.identity import digest_weights, family_of, finished_result, identity_of
from ligero.training.objective import GoldObjective, Objective
from ligero.training.pruning import prune
from ligero.training.scoring import Examples, score_predictions
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

    Args:
        job: trials, tasks and options.
        weights: model folder that every trial starts from.
        encoded_dir: `R/encoded/VOCABULARY`, with a folder a task.
        examples_dir: `R/tasks`, whose validation examples hold the answers that trials are scored by.
        state_dir: `R/state/REGIME/MODEL`; trial T of task K lives in `K/T`.
        objectives: defaults to the gold labels.
        grid: all trials of the model, those of other shards too; of a task's finished ones only the best keeps its weights.
            Defaults to the shard's own.
    """
    objectives = objectives or GoldObjectives()
    weights_digest = digest_weights(weights)
    left = Counter(trial.task for trial in job.trials)
    families: dict[str, str] = {}
    results: list[dict[str, Any]] = []
    current: _TaskData | None = None
    for trial in job.trials:
        task = job.tasks[trial.task]
        if trial.task not in families:
            fingerprint = objectives.fingerprint(trial.task)
            families[trial.task] = family_of(
                job, trial.task, weights_digest, encoded_dir / trial.task, fingerprint
            )
        family = families[trial.task]
        spec = TrialSpec(
            trial=trial,
            options=job.options_of(trial.task),
            folder=state_dir / trial.task / trial.id,
            determined_by=identity_of(trial, family),
            family=family,
            patience=job.distillation["patience"] if job.distillation else None,
        )
        left[trial.task] -= 1
        result = finished_result(spec.folder, spec.determined_by)
        if result is None:
            if current is None or current.task_id != trial.task:
                current = _TaskData(
                    job, trial.task, weights, encoded_dir / trial.task, examples_dir / trial.task, objectives
                )
            result = run_trial(
                spec,
                current.objective,
                load_model=lambda data=current, last=not left[trial.task]: data.model(last),  # type: ignore[misc]
                save_model=_saver(task, weights),
                train=current.train,
                validation=current.validation,
            )
            others = [other for other in grid or job.trials if other.task == trial.task]
            prune(state_dir / trial.task, others, family, spec.options.selection_metric)
        results.append(result)
    return results


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
