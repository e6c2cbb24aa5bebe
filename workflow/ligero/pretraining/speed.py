"""How fast a run is: tokens per second since the last log line, and what share of the device's measured peak that is."""

from __future__ import annotations

import time
from copy import copy
from functools import cache
from typing import Any

import torch

from ligero.models.build import shape_of
from ligero.models.formulas import TRAINING, pretraining_macs
from ligero.pretraining.distributed import DistributedContext
from ligero.settings.base import ResolvedPrecision
from ligero.settings.pretraining import Pretraining


class Speed:
    """Tokens per second of all processes together, over the steps since it was last read.

    Args:
        config: the transformers configuration of the model.
    """

    def __init__(
        self, config: Any, recipe: Pretraining, placement: DistributedContext, precision: ResolvedPrecision
    ) -> None:
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self.peak = measured_peak(placement.device, dtype) * placement.world
        self.recipe = recipe
        self.computes(config)
        shallow_config = copy(config)
        shallow_config.num_hidden_layers = recipe.shallow_layers
        shallow = self._work(shallow_config)
        self.mean_work = self.work + recipe.shallow_steps / recipe.total_steps * (shallow - self.work)
        """Of all of the recipe's steps."""
        self.tokens, self.seconds = 0, 0.0

    def computes(self, config: Any) -> None:
        """From now on a token costs what `config` says."""
        self.work = self._work(config)

    def _work(self, config: Any) -> float:
        """Floating-point operations that forward and backward need a token."""
        return 2.0 * TRAINING * pretraining_macs(shape_of(config), self.recipe)

    def add(self, tokens: int, seconds: float) -> None:
        """Count a step: without evaluations and checkpoints, whose time says nothing about the speed of training."""
        self.tokens, self.seconds = self.tokens + tokens, self.seconds + seconds

    def read(self) -> dict[str, float]:
        """tokens_per_second and share_of_peak since the last call."""
        speed = self.tokens / max(self.seconds, 1e-9)
        self.tokens, self.seconds = 0, 0.0
        return {"tokens_per_second": round(speed, 1), "share_of_peak": round(self.share(speed), 4)}

    def share(self, tokens_per_second: float) -> float:
        """What share of the measured peak this many tokens per second are."""
        return tokens_per_second * self.work / self.peak

    def share_of_run(self, tokens_per_second: float) -> float:
        """The same for the mean speed of a whole run."""
        return tokens_per_second * self.mean_work / self.peak


@cache
def measured_peak(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations per second of a large matrix product on `device`.

    On a CPU by the time that this thread computed: on a busy machine training would be faster than a peak by the clock on the wall.
    """
    clock = time.perf_counter if device.type == "cuda" else time.thread_time
    size = 8192 if device.type == "cuda" else 1024
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    best = float("inf")
    for _ in range(6):
        wait(device)
        start = clock()
        a @ b
        wait(device)
        best = min(best, clock() - start)
    return 2.0 * size**3 / best


def wait(device: torch.device) -> None:
    """Until the device has computed all that was asked of it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
