"""What a study's trials have in common: one student on one task, read once; each trial trains it at another point."""

from __future__ import annotations

import copy
from collections.abc import Callable
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
from ligero.models.heads import load_for_task
from ligero.settings.jobs import ShardJob
from ligero.settings.plan import Trial
from ligero.training.data import EncodedSplit
from ligero.training.digests import family_of, identity_of
from ligero.training.evaluate import Predictions
from ligero.training.scoring import Examples, score_predictions
from ligero.training.trial import TrialSpec, Validation, run_trial


class StudiedTask:
    """One student and task.

    Args:
        job: a shard of the student that holds a trial of the task; its trial gives batch size and epochs.
        weights: model folder that the student starts from.
        encoded_dir: `R/encoded/TOKENIZER`; examples_dir: `R/tasks`; logits_dir: `R/logits`.
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
    ) -> None:
        self.job, self.trial, self.task = job, trial, job.tasks[trial.task]
        encoded = encoded_dir / trial.task
        if job.distillation and job.distillation.relations != "none":
            raise ConfigurationError(
                f"distillation.relations: {job.distillation.relations} is not part of the study's search; set it to none for the study"
            )
        only = job.model_copy(update={"tasks": {trial.task: self.task}})
        objectives = CachedObjectives(only, logits_dir, encoded_dir)
        family = family_of(
            only, trial.task, check_weights(weights), encoded, objectives.fingerprint(trial.task)
        )
        self.identity = identity_of(trial, family)
        self.train = EncodedSplit.load(encoded / "train.parquet", self.task.type, job.options)
        self.validation = self._validation(encoded, examples_dir / trial.task)
        self._objectives = objectives
        self._targets: dict[str, Targets] = {}
        self._start = load_for_task(
            weights,
            self.task.type,
            self.task.labels,
            job.num_hidden_layers,
            job.options.seed,
            job.initial_layers,
        )

    def evaluate(self, point: Point, folder: Path, report: Report) -> float:
        """Train one point and return its lowest validation loss, whatever picks the best epoch; no weights are kept.

        Raises:
            DivergedTrialError: no validation loss was finite.
        """
        assert self.job.distillation is not None
        trial = self.trial.model_copy(update={"learning_rate": point.learning_rate})
        result = run_trial(
            TrialSpec(
                trial,
                self.job.options,
                folder,
                digest_value([self.identity, vars(point)]),
                self.job.distillation.patience,
            ),
            DistillationObjective(
                self.task.type,
                self._targets_for(point.loss),
                alpha=point.alpha,
                temperature=point.temperature,
                kind=point.loss,
            ),
            load_model=lambda: copy.deepcopy(self._start),
            save_model=_keep_nothing,
            train=self.train,
            validation=self.validation,
            after_epoch=lambda epoch, entry: report(epoch, _or_infinite(entry["validation_loss"])),
        )
        losses = [
            entry["validation_loss"] for entry in result["curve"] if entry["validation_loss"] is not None
        ]
        if not losses:
            raise DivergedTrialError(f"the validation loss was never finite ({point})")
        return float(min(losses))

    def _targets_for(self, loss: str) -> Targets:
        """Several teachers are averaged in another way for regression than for the other losses."""
        kind: Literal["kl", "mse"] = "mse" if loss == "mse" else "kl"
        if kind not in self._targets:
            objective = self._objectives.objective(self.trial.task, self.task, self.train, loss=kind)
            self._targets[kind] = objective.targets
        return self._targets[kind]

    def _validation(self, encoded: Path, examples_dir: Path) -> Validation:
        split = EncodedSplit.load(encoded / "validation.parquet", self.task.type, self.job.options)
        examples = Examples.load(examples_dir / "validation.parquet", self.task.type)
        score: Callable[[Predictions], float] = lambda predictions: (  # noqa: E731
            score_predictions(self.task, self.job.options, predictions, split, examples).score
        )
        return Validation(split, score)


def _keep_nothing(model: torch.nn.Module, folder: Path) -> None:
    """A study keeps figures, not weights."""


def _or_infinite(loss: float | None) -> float:
    return float("inf") if loss is None else loss
