"""What a recipe will cost on the present device, measured before it starts."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import nn

from ligero.models.build import count_parameters
from ligero.pretraining.batches import BatchSource
from ligero.pretraining.devices import Placement
from ligero.pretraining.objective import make_objective
from ligero.settings.training import Pretraining

_SECONDS = 5.0


def flops_per_token(config: Any, length: int, masked_share: float) -> float:
    """Floating-point operations of forward and backward a token: three times two a multiply-add.

    Counts the layers' matrices, attention's two products, ALBERT's embedding projection and the vocabulary projection at
    the predicted tokens.
    """
    value = config.to_dict()
    hidden = value.get("hidden_size") or value["dim"]
    layers = value.get("num_hidden_layers") or value["n_layers"]
    inner = value.get("intermediate_size") or value["hidden_dim"]
    embedding = value.get("embedding_size") or hidden
    a_layer = 4 * hidden * hidden + 2 * hidden * inner + 2 * length * hidden
    head = masked_share * embedding * (hidden + value["vocab_size"])
    projection = embedding * hidden if value.get("embedding_size") else 0
    return 6.0 * (layers * a_layer + projection + head)


def measured_peak(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations a second of a large matrix product on `device`."""
    size = 8192 if device.type == "cuda" else 1024
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    best = float("inf")
    for _ in range(6):
        _wait(device)
        start = time.perf_counter()
        a @ b
        _wait(device)
        best = min(best, time.perf_counter() - start)
    return 2.0 * size**3 / best


def plan(model: nn.Module, recipe: Pretraining, source: BatchSource, placement: Placement) -> str:
    """Measure forward and backward of a few micro batches; a table with tokens/s, share of the peak and days."""
    device = placement.device
    objective = make_objective(model, recipe).to(device)
    half = recipe.precision == "bf16"
    tokens, runs, start = 0, 0, 0.0
    while runs < 3 or time.perf_counter() - start < _SECONDS:
        if runs == 1:  # the first run warms up
            _wait(device)
            tokens, start = 0, time.perf_counter()
        batch = source.batch(runs, 0, recipe.micro_batch_size).to(device)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=half):
            outputs = objective(
                batch.input_ids, batch.token_type_ids, batch.positions, batch.labels, batch.swapped
            )
        (outputs[0] / max(len(batch.labels), 1)).backward()
        tokens, runs = tokens + batch.tokens, runs + 1
    _wait(device)
    speed = tokens / (time.perf_counter() - start) * placement.world
    short = recipe.short_sequence_probability
    total = recipe.total_steps * recipe.batch_size * recipe.sequence_length * (1 - short / 2)
    work = flops_per_token(model.config, recipe.sequence_length, recipe.masked_share)
    peak = measured_peak(device, torch.bfloat16 if half else torch.float32) * placement.world
    seconds = total / speed
    lines = [
        ("parameters", f"{count_parameters(model):,}"),
        (
            "steps x batch x length",
            f"{recipe.total_steps:,} x {recipe.batch_size:,} x {recipe.sequence_length}",
        ),
        ("tokens", f"{total:,.0f}"),
        ("epochs", f"{recipe.total_steps * recipe.batch_size / source.windows.count:.2f}"),
        ("tokens/s on this device", f"{speed:,.0f}"),
        ("share of the measured peak", f"{100 * speed * work / peak:.0f} % of {peak / 1e9:,.0f} GFLOP/s"),
        ("time", f"{seconds / 86400:,.1f} days" if seconds > 86400 else f"{seconds / 60:,.1f} minutes"),
    ]
    return "\n".join(f"{name:28} {text}" for name, text in lines)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
