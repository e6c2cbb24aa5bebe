"""One trial: train, validate, keep the best, stop early, survive being killed. Fine-tuning and distillation share it."""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict, cast

import numpy as np
import torch
from torch import Tensor, nn

from ligero.common.file_locks import only_process
from ligero.common.progress import progress
from ligero.models.precision import resolve_once
from ligero.training.batches import (
    epoch_batches,
    evaluation_steps,
    periodic_evaluation_steps,
    steps_per_epoch,
)
from ligero.training.best_point import NONE, best_point, is_better
from ligero.training.checkpoints import Checkpoints
from ligero.training.early_stopping import EarlyStopping
from ligero.training.evaluate import predict, validation_loss
from ligero.training.features import EncodedSplit
from ligero.training.objective import Objective
from ligero.training.planned_trials import PlannedTrial, versions
from ligero.training.records import RESULT, BestPoint, CurvePoint, TrialRecord, TrialValues, write_trial
from ligero.training.steps import StepRunner, device_name, enable_gradient_checkpointing, training_device
from ligero.training.task_data import Validation

SECONDS_BETWEEN_CHECKPOINTS = 5.0
"""Epochs that follow a checkpoint sooner are not saved: repeating them costs less than writing them."""
WRITES_BETWEEN_CHECKPOINTS = 20
"""Nor are those that follow it sooner than so many times what it took to write: on a slow disk checkpoints then cost at most a
twentieth of the time, and a kill as much as that (CheckFreq; Mohan et al., FAST 2021)."""


@dataclass
class _Course:
    """The progress of a trial: its checkpoint without the weights."""

    epoch: int = 0
    curve: list[CurvePoint] = field(default_factory=list)
    best: BestPoint = field(default_factory=NONE.copy)
    seconds: float = 0.0
    halvings: list[dict[str, int | str]] = field(default_factory=list)
    micro_batch_size: int | None = None


class _Checkpoint(TypedDict):
    """Everything that the next epoch depends on; batches and dropout depend on seed and step alone."""

    digest: str
    """Of the trial: the state of another one is worthless."""
    course: dict[str, object]
    """The fields of `_Course`, and those of `EarlyStopping`."""
    early_stopping: dict[str, object]
    model: dict[str, Tensor]
    optimizer: dict[str, object]
    scaler: dict[str, object]
    best_weights: dict[str, Tensor] | None
    best_is_current: bool
    since_evaluation: tuple[float, int]
    """Sum and number of the training losses since then."""


def run_trial(
    planned: PlannedTrial,
    objective: Objective,
    *,
    load_model: Callable[[], nn.Module],
    save_model: Callable[[nn.Module, Path], str | None],
    train: EncodedSplit,
    validation: Validation,
    device: torch.device | None = None,
    seconds_between_checkpoints: float = SECONDS_BETWEEN_CHECKPOINTS,
    after_epoch: Callable[[int, CurvePoint], None] | None = None,
    replacing: TrialRecord | None = None,
    until: int | None = None,
) -> TrialRecord:
    """Run a trial to its end, from its last checkpoint where there is one, and return its outcome.

    A finished trial whose digest is the planned one is returned as it is. Same seed, threads and device give the same bits,
    also when the trial was killed and resumed in between. Of several processes one trains while the others wait for its outcome.

    Args:
        load_model: gives the model at its start, in training mode; called once.
        save_model: writes the best model into the folder it is given, and returns its digest.
        after_epoch: called with the epoch (1-based) and the last entry of the curve, once there is one; may raise to abandon the
            trial (a search that prunes it).
        seconds_between_checkpoints: at least; 0 saves every epoch.
        replacing: an outcome to train again, because its weights are missing.
        until: pause after that many epochs. What is returned then ends there, or later where the trial had been further already, has
            `stopped` "paused" and is recorded nowhere; the next call continues from a checkpoint.

    Raises:
        InUseError: another process has worked on the trial for `locks.PATIENCE` seconds.
    """
    with only_process(planned.folder, planned.label):
        record = planned.finished()
        if record is not None and record != replacing:
            return record
        run = _Run(planned, objective, load_model(), train, validation, device or training_device())
        run.resume()
        stopped = run.train(seconds_between_checkpoints, after_epoch, until)
        if stopped == "paused":
            return run.outcome(stopped, None)
        record = run.finish(stopped, save_model)
        write_trial(planned.folder, record)
        planned.forget_progress()
    return record


class _Run:
    """A trial under way."""

    def __init__(
        self,
        planned: PlannedTrial,
        objective: Objective,
        model: nn.Module,
        train: EncodedSplit,
        validation: Validation,
        device: torch.device,
    ) -> None:
        self.planned, self.options, self.trial = planned, planned.options, planned.trial
        self.train_split, self.validation, self.device = train, validation, device
        self.model = model.to(device).train()
        objective.attach(self.model)
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
            precision=resolve_once(self.options.precision, device, planned.precision_note),
        )
        self.course = _Course()
        self.early_stopping = EarlyStopping(planned.patience)
        self.checkpoints = Checkpoints(planned.checkpoints, keep=1)
        self.best_weights: dict[str, Tensor] | None = None
        """CPU copy of the best weights; None where the model holds them."""
        self.best_is_current = False

    def train(
        self,
        seconds_between_checkpoints: float,
        after_epoch: Callable[[int, CurvePoint], None] | None,
        until: int | None,
    ) -> str:
        """All remaining epochs, or those until the pause; returns why training stopped."""
        course, started, saved = self.course, time.perf_counter(), time.perf_counter()
        seconds_before, wait = course.seconds, seconds_between_checkpoints
        bar = progress(total=self.steps * self.trial.epochs, label=self.planned.label, unit="step")
        bar.update(self.steps * course.epoch)
        with bar:
            while course.epoch < self.trial.epochs:
                if until is not None and course.epoch >= until:
                    return "paused"
                if self._epoch(course.epoch, bar):
                    course.seconds = seconds_before + time.perf_counter() - started
                    return "patience"
                course.epoch += 1
                course.seconds = seconds_before + time.perf_counter() - started
                if after_epoch is not None and course.curve:
                    after_epoch(course.epoch, course.curve[-1])
                ended = time.perf_counter()
                due = course.epoch == until or ended - saved >= wait
                if due and course.epoch < self.trial.epochs:
                    self._checkpoint()
                    saved = time.perf_counter()
                    if seconds_between_checkpoints:
                        wait = max(seconds_between_checkpoints, WRITES_BETWEEN_CHECKPOINTS * (saved - ended))
        return "epochs"

    def _epoch(self, epoch: int, bar: Any) -> bool:
        """One epoch with its evaluations; True when patience ran out."""
        losses: list[float] = []
        evaluations = self._evaluations(epoch)
        batches = epoch_batches(self.train_split.lengths, self.trial.batch_size, epoch, self.options)
        for number, rows in enumerate(batches, start=1):
            self._before_step()
            self.runner.step(self.train_split, rows, epoch * self.steps + number - 1)
            bar.update()
            if number in evaluations:
                losses.append(self._evaluate(epoch, number))
        return self.early_stopping.stops_after(losses)

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

    def _evaluate(self, epoch: int, number: int) -> float:
        """Add a point to the curve, keep the weights if they are the best so far, and return the validation loss."""
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
        point = CurvePoint(
            epoch=epoch + 1 if number == self.steps else round(epoch + number / self.steps, 4),
            step=step,
            train_loss=_finite(self.runner.take_mean_loss()),
            validation_loss=_finite(loss),
            score=self.validation.score(predictions) if math.isfinite(loss) else 0.0,
        )
        course = self.course
        course.curve.append(point)
        if is_better(point, course.best, self.options.selection_metric):
            course.best = best_point(point)
            self.best_is_current = True
        return loss

    def finish(self, stopped: str, save_model: Callable[[nn.Module, Path], str | None]) -> TrialRecord:
        """Write the best model, where there is one, and describe the trial."""
        weights_digest = None
        if self.course.best["step"] is None:
            print(
                f"{self.planned.label}: the validation loss was never finite; it cannot be selected",
                file=sys.stderr,
            )
        else:
            if not self.best_is_current:
                assert self.best_weights is not None
                self.model.load_state_dict(self.best_weights)
            self.model.eval()
            weights_digest = save_model(self.model, self.planned.best)
        return self.outcome(stopped, weights_digest)

    def outcome(self, stopped: str, weights_digest: str | None) -> TrialRecord:
        """The trial as far as it got."""
        course = self.course
        return TrialRecord(
            trial=cast(TrialValues, self.trial.model_dump(mode="json")),
            id=self.trial.id,
            digest=self.planned.digest,
            group_digest=self.planned.group_digest,
            best=course.best,
            curve=course.curve,
            stopped=stopped,
            weights_digest=weights_digest,
            seconds=round(course.seconds, 3),
            device=device_name(self.device),
            threads=torch.get_num_threads(),
            precision=self.runner.precision,
            micro_batch_size=self.runner.micro_batch_size,
            halvings=[*course.halvings, *self.runner.halvings],
            versions=versions(),
            settings=self.planned.settings,
        )

    def _checkpoint(self) -> None:
        course = self.course
        course.micro_batch_size = self.runner.micro_batch_size
        course.halvings += self.runner.halvings
        self.runner.halvings = []
        state = _Checkpoint(
            digest=self.planned.digest,
            course=dict(vars(course)),
            early_stopping=dict(vars(self.early_stopping)),
            model=self.model.state_dict(),
            optimizer=self.runner.optimizer.state_dict(),
            scaler=self.runner.scaler.state_dict(),
            best_weights=None if self.best_is_current else self.best_weights,
            best_is_current=self.best_is_current,
            since_evaluation=(float(self.runner.loss_sum), self.runner.loss_steps),
        )
        self.checkpoints.save(course.epoch * self.steps, state)

    def resume(self) -> None:
        """Continue from the checkpoint where it fits; state of another trial is removed."""
        (self.planned.folder / RESULT).unlink(missing_ok=True)
        # A kill while they were written leaves some with a point.
        for kept in [self.planned.best, *self.planned.folder.glob(".best.*")]:
            shutil.rmtree(kept, ignore_errors=True)
        found = self.checkpoints.load_latest()
        if found is None or found[1]["digest"] != self.planned.digest:
            self.checkpoints.clear()
            return
        state = cast(_Checkpoint, found[1])
        self.model.load_state_dict(state["model"])
        self.runner.optimizer.load_state_dict(state["optimizer"])
        self.runner.scaler.load_state_dict(state["scaler"])
        self.best_weights = state["best_weights"]
        self.best_is_current = state["best_is_current"]
        loss_sum, self.runner.loss_steps = state["since_evaluation"]
        self.runner.loss_sum.fill_(loss_sum)
        self.course = _Course(**cast(Any, state["course"]))
        self.early_stopping = EarlyStopping(**cast(Any, state["early_stopping"]))
        self.runner.micro_batch_size = self.course.micro_batch_size or self.runner.micro_batch_size


def _finite(value: float) -> float | None:
    """JSON has no NaN: what is not finite is null."""
    return value if np.isfinite(value) else None
