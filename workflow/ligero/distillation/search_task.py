"""What the trials of a search have in common: one student on one task, read once; each trial trains it at another point."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import torch

from ligero.common.errors import ConfigurationError
from ligero.common.hashing import digest_value
from ligero.distillation.cached_objectives import CachedObjectives
from ligero.distillation.objective import DistillationObjective
from ligero.distillation.search import DivergedTrialError, Point, Report
from ligero.distillation.targets import Targets
from ligero.models.digests import check_weights
from ligero.settings.jobs import ShardJob
from ligero.settings.plan import Trial
from ligero.training.exits import with_exits
from ligero.training.planned_trials import PlannedTrial, group_digest, trial_digest
from ligero.training.task_data import TaskData
from ligero.training.trial import run_trial


class SearchTask:
    """One student and task.

    Args:
        job: a shard of the student that holds a trial of the task; its trial gives batch size and epochs.
        weights: model folder that the student starts from.
        encoded_dir: `R/encoded/TOKENIZER`; examples_dir: `R/tasks`; logits_dir: `R/logits`; teachers_dir: `R/models/fine-tuning`.
    """

    def __init__(
        self,
        job: ShardJob,
        trial: Trial,
        *,
        weights: Path,
        encoded_dir: Path,
        examples_dir: Path,
        logits_dir: Path,
        teachers_dir: Path,
    ) -> None:
        if job.distillation and job.distillation.relations != "none":
            raise ConfigurationError(
                f"distillation.relations: {job.distillation.relations} is not part of the search; set it to none for the search"
            )
        self._trial, self._learning, self._options = trial, job.distillation, job.options
        self._early_exit = job.early_exit
        self._objectives = CachedObjectives(job, logits_dir, encoded_dir, teachers_dir)
        group = group_digest(
            job,
            trial.task,
            check_weights(weights),
            encoded_dir / trial.task,
            self._objectives.digest(trial.task),
        )
        self.digest = trial_digest(trial, group)
        self._data = TaskData(
            job, trial.task, weights=weights, encoded_dir=encoded_dir, examples_dir=examples_dir
        )
        self._targets: dict[str, Targets] = {}

    def evaluate(self, point: Point, folder: Path, report: Report) -> float:
        """Train one point and return its lowest validation loss, whatever picks the best epoch; no weights are kept.

        Raises:
            DivergedTrialError: no validation loss was finite.
        """
        assert self._learning is not None
        data = self._data
        record = run_trial(
            PlannedTrial(
                trial=self._trial.model_copy(update={"learning_rate": point.learning_rate}),
                options=self._options,
                folder=folder,
                digest=digest_value([self.digest, vars(point)]),
                patience=self._learning.patience,
            ),
            with_exits(
                DistillationObjective(
                    data.task.type,
                    self._targets_for(point.loss),
                    alpha=point.alpha,
                    temperature=point.temperature,
                    kind=point.loss,
                ),
                data.task.type,
                self._early_exit,
            ),
            load_model=data.model,
            save_model=_keep_nothing,
            train=data.train,
            validation=data.validation,
            seconds_between_checkpoints=math.inf,
            after_epoch=lambda epoch, entry: report(epoch, _or_infinite(entry["validation_loss"])),
        )
        losses = [entry["validation_loss"] for entry in record["curve"]]
        lowest = min(map(_or_infinite, losses), default=math.inf)
        if lowest == math.inf:
            raise DivergedTrialError(f"the validation loss was never finite ({point})")
        return lowest

    def _targets_for(self, loss: str) -> Targets:
        """Several teachers are averaged in another way for regression than for the other losses."""
        kind: Literal["kl", "mse"] = "mse" if loss == "mse" else "kl"
        if kind not in self._targets:
            data = self._data
            objective = self._objectives.objective(data.task_id, data.task, data.train, loss=kind)
            self._targets[kind] = objective.targets
        return self._targets[kind]


def _keep_nothing(model: torch.nn.Module, folder: Path) -> None:
    """A search keeps figures, not weights."""


def _or_infinite(loss: float | None) -> float:
    return math.inf if loss is None else loss
