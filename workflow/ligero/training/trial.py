"""One trial: train, validate, keep the best, stop early, survive being killed. Fine-tuning and distillation share it."""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ligero.common.progress import progress
from ligero.common.records import write_record
from ligero.models.precision import resolve_once
from ligero.settings.plan import Trial
from ligero.settings.training import TrainingOptions
from ligero.training.batches import (
    epoch_batches,
    evaluation_steps,
    periodic_evaluation_steps,
    steps_per_epoch,
)
from ligero.training.checkpoints import Checkpoints
from ligero.training.data import EncodedSplit
from ligero.training.digests import finished_result, versions
from ligero.training.evaluate import Predictions, predict, validation_loss
from ligero.training.objective import Objective
from ligero.training.steps import StepRunner, device_name, enable_gradient_checkpointing, training_device

SECONDS_BETWEEN_CHECKPOINTS = 5.0
"""Epochs that follow a checkpoint sooner are not saved: repeating them costs less than writing them."""


@dataclass(frozen=True)
class TrialSpec:
    """What identifies a trial and where it keeps its state.

    Attributes:
        folder: the trial's own folder; holds `result.json` and `best/` when done, `checkpoints/` while running.
        determined_by: digest of everything that the result depends on; another one makes old state worthless.
        family: digest of what the trials of one task have in common; recorded, so that they can be compared safely.
        patience: stop after more than this many epochs in a row without a strictly lower validation loss (of an epoch with
            several evaluations its lowest counts, one without any does not); None runs all epochs.
        settings: what the trial was told, in readable form; recorded only.
    """

    trial: Trial
    options: TrainingOptions
    folder: Path
    determined_by: str
    patience: int | None = None
    family: str = ""
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Validation:
    """What a trial is judged on: a split, and the task's score (percent) of predictions on it."""

    split: EncodedSplit
    score: Callable[[Predictions], float]


@dataclass
class _Course:
    """Where a trial stands; everything but the weights of its checkpoint."""

    epoch: int = 0
    curve: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Any] | None = None
    lowest_loss: float = math.inf
    without_lower_loss: int = 0
    """Epochs in a row."""
    seconds: float = 0.0
    halvings: list[dict[str, Any]] = field(default_factory=list)
    micro_batch_size: int | None = None


def run_trial(
    spec: TrialSpec,
    objective: Objective,
    *,
    load_model: Callable[[], nn.Module],
    save_model: Callable[[nn.Module, Path], None],
    train: EncodedSplit,
    validation: Validation,
    device: torch.device | None = None,
    seconds_between_checkpoints: float = SECONDS_BETWEEN_CHECKPOINTS,
    after_epoch: Callable[[int, dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Run a trial to its end, from its last checkpoint where there is one, and return its result.

    A finished trial with the same `determined_by` is returned as it is. Same seed, threads and device give the same bits,
    also when the trial was killed and resumed in between.

    Args:
        load_model: gives the model at its start, in training mode; called once.
        save_model: writes the best model into the folder it is given.
        after_epoch: called with the epoch (1-based) and the last entry of the curve, once there is one; may raise to abandon the
            trial (a pruned study).

    Returns:
        The trial's record: trial, id, best {epoch, step, loss, score}, curve, seconds, device, micro_batch_size, halvings,
        stopped ("epochs" or "patience"), determined_by, settings, versions, folder. Where no validation loss was finite, the entries of `best` are
        None and no weights are written.
    """
    if (result := finished_result(spec.folder, spec.determined_by)) is not None:
        return result
    run = _Run(spec, objective, load_model(), train, validation, device or training_device())
    run.resume()
    stopped = run.train(seconds_between_checkpoints, after_epoch)
    result = run.finish(stopped, save_model)
    write_record(spec.folder / "result.json", result)
    shutil.rmtree(spec.folder / "checkpoints", ignore_errors=True)
    run.precision_note.unlink(missing_ok=True)
    return result


class _Run:
    """A trial under way."""

    def __init__(
        self,
        spec: TrialSpec,
        objective: Objective,
        model: nn.Module,
        train: EncodedSplit,
        validation: Validation,
        device: torch.device,
    ) -> None:
        self.spec, self.options, self.trial = spec, spec.options, spec.trial
        self.train_split, self.validation, self.device = train, validation, device
        self.model = model.to(device).train()
        if (attach := getattr(objective, "attach", None)) is not None:
            attach(self.model)  # an objective that looks into the model, beyond its outputs
        if self.options.gradient_checkpointing:
            enable_gradient_checkpointing(self.model)
        self.steps = steps_per_epoch(len(train), self.trial.batch_size)
        self.runner = StepRunner(
            self.model,
            objective,
            self.options,
            rate=float(self.trial.learning_rate),
            batch_size=self.trial.batch_size,
            total_steps=self.steps * self.trial.epochs,
            device=device,
            precision=resolve_once(self.options.precision, device, self.precision_note),
        )
        self.course = _Course()
        self.checkpoints = Checkpoints(spec.folder / "checkpoints", keep=1)
        self.best_weights: dict[str, Tensor] | None = None
        """CPU copy of the best weights; None where the model holds them."""
        self.best_is_current = False

    def train(
        self, seconds_between_checkpoints: float, after_epoch: Callable[[int, dict[str, Any]], None] | None
    ) -> str:
        """All remaining epochs; returns why training stopped."""
        course, started, saved = self.course, time.perf_counter(), time.perf_counter()
        seconds_before = course.seconds
        bar = progress(total=self.steps * self.trial.epochs, label=self._name(), unit="step")
        bar.update(self.steps * course.epoch)
        with bar:
            while course.epoch < self.trial.epochs:
                if self._epoch(course.epoch, bar):
                    course.seconds = seconds_before + time.perf_counter() - started
                    return "patience"
                course.epoch += 1
                course.seconds = seconds_before + time.perf_counter() - started
                if after_epoch is not None and course.curve:
                    after_epoch(course.epoch, course.curve[-1])
                due = time.perf_counter() - saved >= seconds_between_checkpoints
                if due and course.epoch < self.trial.epochs:
                    self._checkpoint()
                    saved = time.perf_counter()
        return "epochs"

    def _epoch(self, epoch: int, bar: Any) -> bool:
        """One epoch with its evaluations; True when patience ran out."""
        course, lowest_before = self.course, self.course.lowest_loss
        evaluations = self._evaluations(epoch)
        batches = epoch_batches(self.train_split.lengths, self.trial.batch_size, epoch, self.options)
        for number, rows in enumerate(batches, start=1):
            self._before_step()
            self.runner.step(self.train_split, rows, epoch * self.steps + number - 1)
            bar.update()
            if number in evaluations:
                self._evaluate(epoch, number)
        if evaluations:
            lowered = course.lowest_loss < lowest_before
            course.without_lower_loss = 0 if lowered else course.without_lower_loss + 1
        patience = self.spec.patience
        return patience is not None and course.without_lower_loss > patience

    def _evaluations(self, epoch: int) -> set[int]:
        """After how many steps of an epoch validation runs: a function of the epoch alone, so that a resumed trial repeats it."""
        every = self.options.evaluate_every_steps
        if every is None:
            return evaluation_steps(self.steps, self.options.evaluations_per_epoch)
        return periodic_evaluation_steps(self.steps, every, epoch, self.trial.epochs)

    def _before_step(self) -> None:
        """The step overwrites the best weights where the model holds them: copy them out."""
        if self.best_is_current:
            self.best_weights = {
                name: value.detach().to("cpu", copy=True) for name, value in self.model.state_dict().items()
            }
            self.best_is_current = False

    def _evaluate(self, epoch: int, number: int) -> None:
        halvings: list[dict[str, int]] = []
        predictions = predict(
            self.model,
            self.validation.split,
            precision=self.runner.precision,
            device=self.device,
            halvings=halvings,
        )
        step = epoch * self.steps + number
        self.course.halvings += [{"step": step, "in": "evaluation", **halving} for halving in halvings]
        loss = validation_loss(predictions, self.validation.split)
        point = {
            "epoch": epoch + 1 if number == self.steps else round(epoch + number / self.steps, 4),
            "step": step,
            "train_loss": _finite(self.runner.take_mean_loss()),
            "validation_loss": _finite(loss),
            "score": self.validation.score(predictions) if math.isfinite(loss) else 0.0,
        }
        course = self.course
        course.curve.append(point)
        if self._is_better(point):
            course.best = {
                "epoch": point["epoch"],
                "step": point["step"],
                "loss": point["validation_loss"],
                "score": point["score"],
            }
            self.best_is_current = True
        course.lowest_loss = min(course.lowest_loss, loss) if math.isfinite(loss) else course.lowest_loss

    def _is_better(self, point: dict[str, Any]) -> bool:
        """Strictly better than the best so far, so that of equals the earlier one stays."""
        best = self.course.best
        if point["validation_loss"] is None:
            return False  # a diverged model is never the best
        if best is None:
            return True
        if self.options.selection_metric == "loss":
            return bool(point["validation_loss"] < best["loss"])
        return bool(point["score"] > best["score"])

    def finish(self, stopped: str, save_model: Callable[[nn.Module, Path], None]) -> dict[str, Any]:
        """Write the best model, where there is one, and describe the trial."""
        course = self.course
        best_folder = self.spec.folder / "best"
        if course.best is None:
            print(
                f"{self._name()}: the validation loss was never finite; it cannot be selected",
                file=sys.stderr,
            )
        else:
            if not self.best_is_current:
                assert self.best_weights is not None
                self.model.load_state_dict(self.best_weights)
            self.model.eval()
            save_model(self.model, best_folder)
        return {
            "trial": self.trial.model_dump(mode="json"),
            "id": self.trial.id,
            "best": course.best or dict.fromkeys(("epoch", "step", "loss", "score")),
            "curve": course.curve,
            "seconds": round(course.seconds, 3),
            "device": device_name(self.device),
            "threads": torch.get_num_threads(),
            "precision": self.runner.precision,
            "determined_by": self.spec.determined_by,
            "family": self.spec.family,
            "settings": self.spec.settings,
            "versions": versions(),
            "micro_batch_size": self.runner.micro_batch_size,
            "halvings": [*course.halvings, *self.runner.halvings],
            "stopped": stopped,
            "folder": str(best_folder),
        }

    @property
    def precision_note(self) -> Path:
        return self.spec.folder / f"precision-{self.spec.determined_by}.json"

    def _name(self) -> str:
        return f"{self.trial.model} {self.trial.task} {self.trial.id}"

    def _checkpoint(self) -> None:
        """Save everything that the next epoch depends on; batches and dropout depend on seed and step alone."""
        course = self.course
        course.micro_batch_size = self.runner.micro_batch_size
        course.halvings += self.runner.halvings
        self.runner.halvings = []
        self.checkpoints.save(
            course.epoch * self.steps,
            {
                "determined_by": self.spec.determined_by,
                "course": dict(vars(course)),
                "model": self.model.state_dict(),
                "optimizer": self.runner.optimizer.state_dict(),
                "scaler": self.runner.scaler.state_dict(),
                "best_weights": None if self.best_is_current else self.best_weights,
                "best_is_current": self.best_is_current,
                "since_evaluation": (float(self.runner.loss_sum), self.runner.loss_steps),
            },
        )

    def resume(self) -> None:
        """Continue from the checkpoint where it fits; state of another trial is removed."""
        (self.spec.folder / "result.json").unlink(missing_ok=True)
        for kept in [
            self.spec.folder / "best",
            *self.spec.folder.glob(".best.*"),
        ]:  # a kill while they were written
            shutil.rmtree(kept, ignore_errors=True)
        found = self.checkpoints.load_latest()
        if found is None or found[1]["determined_by"] != self.spec.determined_by:
            self.checkpoints.clear()
            return
        state = found[1]
        self.model.load_state_dict(state["model"])
        self.runner.optimizer.load_state_dict(state["optimizer"])
        self.runner.scaler.load_state_dict(state["scaler"])
        self.best_weights = state["best_weights"]
        self.best_is_current = state["best_is_current"]
        loss_sum, self.runner.loss_steps = state.get(
            "since_evaluation", (0.0, 0)
        )  # an earlier version's has none
        self.runner.loss_sum.fill_(loss_sum)
        self.course = _Course(**state["course"])
        self.runner.micro_batch_size = self.course.micro_batch_size or self.runner.micro_batch_size


def _finite(value: float) -> float | None:
    """JSON has no NaN: what is not finite is null."""
    return value if np.isfinite(value) else None
