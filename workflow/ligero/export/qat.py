"""Quantisation-aware training: where rounding alone loses too much, a model learns to compute in the numbers of its int8 graph.

The forward pass rounds weights and inputs of products exactly as the graph does, the backward pass ignores the rounding
(Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference", CVPR 2018; Q8BERT, Zafrir
et al., 2019). Ranges and scales stay those of calibration: what is learned is which whole number each weight is, beside biases,
norms and the head. The target is the model's own output in fp32, so no label is needed and nothing else is learned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from itertools import count, islice
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ligero.distillation.losses import distillation_loss
from ligero.export.encoder import EMBEDDING_LEVELS, WEIGHT_LEVELS, Int8, activation_scale, quantised
from ligero.export.weights import Outline, Weights
from ligero.settings.training import TrainingOptions
from ligero.training.batches import epoch_batches
from ligero.training.features import IGNORED, Batch, EncodedSplit, Ints
from ligero.training.schedules import linear_warmup_decay

BATCH_SIZE = 16
LEVEL_RATE = 0.02
"""Learning rate of weights, in steps between neighbouring int8 numbers, whatever these are worth."""
RATE = 1e-4
"""Learning rate of everything else."""
WARMUP = 0.1
"""Share of the steps."""


class FakeQuantised(nn.Module):
    """A dense layer that computes as its int8 product does, with gradients that ignore the rounding."""

    scales: Tensor
    factors: Tensor

    def __init__(
        self,
        bias: Tensor,
        levels: NDArray[np.int8],
        scales: NDArray[np.float32],
        divisors: NDArray[np.float32],
        inputs: Sequence[tuple[float, int] | None],
    ) -> None:
        """Args:
        bias: [outputs].
        levels: [outputs, inputs], the weights that training starts from.
        scales: of each output, [outputs].
        divisors: of each channel of the input, [inputs].
        inputs: scale and zero of the input in each call of a forward pass (ALBERT calls its layer once for each depth); None
            where the graph reads it in fp32.
        """
        super().__init__()
        self.bias = nn.Parameter(bias)
        self.levels = nn.Parameter(torch.tensor(levels, dtype=torch.float32))
        self.register_buffer("scales", torch.tensor(scales))
        self.register_buffer("factors", torch.tensor(1 / divisors))
        self.inputs, self.calls = inputs, 0

    def forward(self, x: Tensor) -> Tensor:
        grid = self.inputs[self.calls]
        self.calls += 1
        levels = _rounded(self.levels.clamp(-WEIGHT_LEVELS, WEIGHT_LEVELS))
        x, scales = x * self.factors, self.scales
        if grid is not None:
            scale, zero = grid
            x, scales = (_rounded(x / scale) + zero).clamp(0, 255) - zero, scales * scale
        return F.linear(x, levels) * scales + self.bias

    def whole(self) -> NDArray[np.int8]:
        """The weights as the graph stores them."""
        return self.levels.detach().round().clamp(-WEIGHT_LEVELS, WEIGHT_LEVELS).numpy().astype(np.int8)


def fake_quantised(
    model: nn.Module, outline: Outline, weights: Weights, int8: Int8, readers: Mapping[str, Sequence[str]]
) -> dict[str, FakeQuantised]:
    """Let a model compute as its int8 graph does, in place; word embeddings become those of the graph and learn nothing.

    Args:
        int8: with static ranges.
        readers: the weights that each input is multiplied with, without `.weight`, in the order of the layers.

    Returns:
        The new layers by name.
    """
    assert int8.ranges is not None
    in_fp32 = set(int8.in_fp32)
    if outline.reads_first_token:
        in_fp32.add(f"{len(outline.layers) - 1}.hidden")  # see `ligero.export.encoder`
    layers: dict[str, FakeQuantised] = {}
    for name in dict.fromkeys(name for names in readers.values() for name in names):
        labels = [label for label, names in readers.items() if name in names]
        array = weights[f"{name}.weight"]
        divisors = int8.smoothing.get(labels[0], np.ones(array.shape[1], np.float32))
        nearest, scales = quantised(array * divisors, WEIGHT_LEVELS, axis=1)
        layers[name] = FakeQuantised(
            model.get_submodule(name).bias.detach().clone(),  # type: ignore[operator]
            int8.rounded.get(f"{name}.weight", nearest),
            scales[:, 0],
            divisors,
            [None if label in in_fp32 else activation_scale(*int8.ranges[label]) for label in labels],
        )
    for name, layer in layers.items():
        model.set_submodule(name, layer)
    table = model.get_input_embeddings().weight  # type: ignore[operator]
    values, row_scales = quantised(table.detach().numpy(), EMBEDDING_LEVELS, axis=1)
    table.data = torch.from_numpy(values * row_scales)
    table.requires_grad_(False)

    def restart(*_: Any) -> None:
        for layer in layers.values():
            layer.calls = 0

    model.register_forward_pre_hook(restart)
    return layers


def trained(
    model: nn.Module,
    outline: Outline,
    weights: Weights,
    int8: Int8,
    readers: Mapping[str, Sequence[str]],
    train: EncodedSplit,
    options: TrainingOptions,
    steps: int,
) -> tuple[Weights, Int8]:
    """What the int8 graph of a model is built of after some steps that bring its outputs to those of the model in fp32.

    Args:
        model: as loaded; changed in place.
        train: the task's training texts; their labels only say which words are scored.
        options: seed and order of the batches.

    Returns:
        Weights whose products are the old ones, for their scales, and everything else new; and the products' new whole numbers.
    """
    reference = deepcopy(model)
    layers = fake_quantised(model, outline, weights, int8, readers)
    levels = [layer.levels for layer in layers.values()]
    others = {
        name: parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and not name.endswith(".levels")
    }
    optimizer = torch.optim.AdamW(
        [{"params": levels, "base": LEVEL_RATE}, {"params": list(others.values()), "base": RATE}],
        weight_decay=0.0,
    )
    pad = int(model.config.pad_token_id or 0)  # type: ignore[union-attr,arg-type]
    for step, rows in enumerate(islice(_batches(train, options), steps)):
        batch = train.batch(rows, pad)
        with torch.no_grad():
            wanted = reference(**batch.inputs(reference))
        loss = divergence(model(**batch.inputs(model)), wanted, batch, train)
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = group["base"] * linear_warmup_decay(step, round(WARMUP * steps), steps)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    arrays = {name: parameter.detach().numpy() for name, parameter in others.items()}
    rounded = {f"{name}.weight": layer.whole() for name, layer in layers.items()}
    return weights.replaced(arrays), replace(int8, rounded=rounded)


def divergence(outputs: Any, wanted: Any, batch: Batch, split: EncodedSplit) -> Tensor:
    """KL of a model's distributions to the wanted ones: of labels, or of the answer's start and end over the tokens."""
    if split.task_type == "question_answering":
        padding = batch.attention_mask == 0
        start, end = (
            distillation_loss(
                outputs[name].masked_fill(padding, -torch.inf),
                wanted[name].masked_fill(padding, -torch.inf),
                "kl",
            )
            for name in ("start_logits", "end_logits")
        )
        return 0.5 * (start + end)
    logits, targets = outputs.logits, wanted.logits
    if split.task_type == "token_classification":
        scored = batch.targets["labels"] != IGNORED
        logits, targets = logits[scored], targets[scored]
    return distillation_loss(logits, targets, "kl")


def _rounded(x: Tensor) -> Tensor:
    """Whole numbers, with the gradient of x (Bengio et al., 2013, straight-through)."""
    return x + (x.round() - x).detach()


def _batches(split: EncodedSplit, options: TrainingOptions) -> Iterator[Ints]:
    for epoch in count():
        yield from epoch_batches(split.lengths, BATCH_SIZE, epoch, options)
