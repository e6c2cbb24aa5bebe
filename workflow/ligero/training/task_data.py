"""One task as its trials share it: data and initial weights, read once, and only when a trial needs them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from ligero.models.digests import digest_weights
from ligero.models.heads import load_for_task, save_for_task
from ligero.settings.jobs import ShardJob
from ligero.training.evaluate import Predictions
from ligero.training.features import EncodedSplit
from ligero.training.scoring import Examples, score_predictions


@dataclass(frozen=True)
class Validation:
    """What a trial is judged on: a split, and the task's score (percent) of predictions on it."""

    split: EncodedSplit
    score: Callable[[Predictions], float]


class TaskData:
    """What the trials of one task and model have in common.

    Args:
        weights: model folder that every trial starts from.
        encoded_dir: `R/encoded/TOKENIZER`; examples_dir: `R/tasks`, whose validation examples hold the answers that trials are
            scored by.
    """

    def __init__(
        self, job: ShardJob, task_id: str, *, weights: Path, encoded_dir: Path, examples_dir: Path
    ) -> None:
        self.job, self.task_id, self.task, self._weights = job, task_id, job.tasks[task_id], weights
        self._encoded, self._examples = encoded_dir / task_id, examples_dir / task_id
        self._initial: nn.Module | None = None

    @cached_property
    def train(self) -> EncodedSplit:
        return EncodedSplit.load(self._encoded / "train.parquet", self.task.type, self.job.options)

    @cached_property
    def validation(self) -> Validation:
        split = EncodedSplit.load(self._encoded / "validation.parquet", self.task.type, self.job.options)
        examples = Examples.load(self._examples / "validation.parquet", self.task.type)

        def score(predictions: Predictions) -> float:
            return score_predictions(self.task, self.job.options, predictions, split, examples).score

        return Validation(split, score)

    def model(self, last: bool = False) -> nn.Module:
        """A model at its start; read from disk once, and the last trial gets the original."""
        model = self._initial or load_for_task(
            self._weights,
            self.task.type,
            self.task.labels,
            self.job.num_hidden_layers,
            self.job.options.seed,
            self.job.initial_layers,
        )
        self._initial = None if last else model
        return model if last else copy.deepcopy(model)

    def save(self, model: nn.Module, folder: Path) -> str:
        """Write a model with the labels and the tokenizer; returns its digest."""
        save_for_task(model.to(torch.device("cpu")), folder, self.task.labels, self._weights)
        return digest_weights(folder)
