"""What a recipe will cost on the present device, measured before it starts."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import nn

from ligero.models.build import count_parameters
from ligero.models.precision import resolve
from ligero.pretraining.batches import BatchSource
from ligero.pretraining.distributed import DistributedContext
from ligero.pretraining.engine import Pretrainer
from ligero.pretraining.speed import Speed, wait
from ligero.settings.pretraining import Pretraining

_SECONDS = 5.0
_MICRO_BATCHES = 4
"""Of a measured step at most; a real one may accumulate thousands, so that its update weighs less: the estimate is cautious."""


def plan(model: nn.Module, recipe: Pretraining, source: BatchSource, placement: DistributedContext) -> str:
    """Time real steps, of few micro batches; a table with tokens/s, share of the peak and days. Trains `model` a little.

    Evaluations and checkpoints are not counted. In several processes all must call it; the table is the same in each.
    """
    precision = resolve(recipe.precision, placement.device, loss_scaling=False)
    speed = Speed(model.config, recipe, placement, precision)
    measured = _tokens_per_second(model, recipe, source, placement)
    total = recipe.total_steps * recipe.tokens_per_step
    # Measured at full depth, whatever the first steps compute.
    seconds = total / measured * speed.mean_work / speed.work
    lines = [
        ("parameters", f"{count_parameters(model):,}"),
        (
            "steps x batch x length",
            f"{recipe.total_steps:,} x {recipe.batch_size:,} x {recipe.sequence_length}",
        ),
        ("tokens", f"{total:,.0f}"),
        ("epochs", f"{recipe.total_steps * recipe.batch_size / source.windows.count:.2f}"),
        (f"tokens/s of {placement.world} process(es)", f"{measured:,.0f}"),
        (
            "share of the measured peak",
            f"{100 * speed.share(measured):.0f} % of {speed.peak / 1e9:,.0f} GFLOP/s",
        ),
        ("time", f"{seconds / 86400:,.1f} days" if seconds > 86400 else f"{seconds / 60:,.1f} minutes"),
    ]
    return "\n".join(f"{name:28} {text}" for name, text in lines)


def _tokens_per_second(
    model: nn.Module, recipe: Pretraining, source: BatchSource, placement: DistributedContext
) -> float:
    """Tokens per second of all processes in steps as the engine makes them: losses, clipping, optimiser and all."""
    rows = recipe.micro_batch_size * placement.world
    batch_size = min(recipe.batch_size, _MICRO_BATCHES * rows)
    endless = {
        "batch_size": batch_size,
        "total_steps": 1 << 40,
        "shallow_steps": 0,
        "schedule_steps": None,
        "tensorboard": False,
    }
    with TemporaryDirectory() as folder:
        trainer = Pretrainer(model, recipe.model_copy(update=endless), source, None, Path(folder), placement)
        steps = trainer.measured_steps()
        next(steps)  # warms up
        wait(placement.device)
        tokens, number, start, more = 0, 0, time.perf_counter(), True
        while more:
            tokens, number = tokens + next(steps), number + 1
            # The first process' clock decides for all: they make each step together.
            more = bool(placement.from_first(number < 2 or time.perf_counter() - start < _SECONDS))
        wait(placement.device)
        seconds = time.perf_counter() - start
        trainer.metrics.close()
    return tokens / seconds
