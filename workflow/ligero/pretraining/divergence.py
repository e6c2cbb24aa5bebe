"""Watching a run for divergence: numbers that are not finite, or a smoothed loss far above its best."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TypedDict

from ligero.common.errors import LigeroError
from ligero.common.records import read_record, write_record
from ligero.settings.pretraining import Divergence

_SMOOTHING = 0.95
_SETTLING_STEPS = 20
"""Steps before a spike can be seen: the mean of a few losses says little."""


class DivergenceError(LigeroError):
    """Pretraining diverged and its settings say to stop, or the rollbacks are used up."""


def advice(settings: Divergence) -> str:
    """How to continue a run that diverged from its checkpoints."""
    if settings.on_divergence == "stop":
        return (
            "Set divergence.on_divergence: rollback and start it again to go on from the last checkpoint with a lower learning "
            "rate"
        )
    return (
        "Raise divergence.maximum_rollbacks or lower divergence.learning_rate_scale and start it again to go on from the last "
        "checkpoint"
    )


_RECORD = "diverged.json"


def remember(folder: Path, settings: Divergence, message: str) -> None:
    """Note in the state folder that the run ended in divergence, whatever its settings could do about it."""
    write_record(folder / _RECORD, {"settings": settings.model_dump(mode="json"), "message": message})


def refuse_repetition(folder: Path, settings: Divergence) -> None:
    """Keep a scheduler that tries failed jobs again from computing the same divergence with each attempt.

    Raises:
        DivergenceError: the run ended in divergence, and nothing was changed since that would help it.
    """
    path = folder / _RECORD
    if path.is_file() and (known := read_record(path))["settings"] == settings.model_dump(mode="json"):
        raise DivergenceError(f"{known['message']} (Said before; nothing was changed since.)")


class WatchState(TypedDict):
    """What a DivergenceWatch has seen."""

    mean: float
    weight: float
    best: float
    steps: int


class DivergenceWatch:
    """Tells at each step whether the run has diverged; its state is part of a checkpoint."""

    def __init__(self, settings: Divergence) -> None:
        self.settings = settings
        self.mean, self.weight, self.best, self.steps = 0.0, 0.0, math.inf, 0

    def problem(self, loss: float, gradient_norm: float) -> str | None:
        """What is wrong with this step, or None."""
        if not math.isfinite(loss):
            return f"the loss is {loss}"
        if not math.isfinite(gradient_norm):
            return f"the gradient norm is {gradient_norm}"
        self.mean = _SMOOTHING * self.mean + (1 - _SMOOTHING) * loss
        self.weight = _SMOOTHING * self.weight + (1 - _SMOOTHING)
        self.steps += 1
        smoothed = self.mean / self.weight
        if self.steps < _SETTLING_STEPS:
            return None
        self.best = min(self.best, smoothed)
        if smoothed > self.settings.spike_factor * self.best:
            return (
                f"the smoothed loss {smoothed:.3f} is more than {self.settings.spike_factor} times its best, "
                f"{self.best:.3f}"
            )
        return None

    def state(self) -> WatchState:
        return {"mean": self.mean, "weight": self.weight, "best": self.best, "steps": self.steps}

    def restore(self, state: WatchState) -> None:
        self.mean, self.weight = state["mean"], state["weight"]
        self.best, self.steps = state["best"], state["steps"]
