"""Cross entropy over the vocabulary without keeping logits, probabilities and gradients side by side.

The gradient of the logits is known as soon as they are: softmax minus one-hot. It is computed in the forward pass, a
block of rows at a time in fp32, and takes the logits' place; what remains for the backward pass is two products.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_BLOCK_ELEMENTS = {"cpu": 1 << 21, "cuda": 1 << 26}
"""Logits in work at a time: on a CPU what its cache holds, on a GPU what fills it."""


def vocabulary_loss(hidden: Tensor, decoder: nn.Linear, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Summed cross entropy of `labels` [M] under decoder(`hidden` [M, E]), and how many of them score highest.

    Under autocast the products are computed in its type, as nn.Linear would.
    """
    kind = hidden.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype
    bias = decoder.bias.to(dtype) if decoder.bias is not None else None
    loss, right = _VocabularyLoss.apply(hidden.to(dtype), decoder.weight.to(dtype), bias, labels)
    return loss, right


class _VocabularyLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        device = hidden.device.type
        loss = torch.zeros((), device=hidden.device)
        right = torch.zeros((), dtype=torch.long, device=hidden.device)
        with torch.autocast(device, enabled=False):
            logits = functional.linear(hidden, weight, bias)
            size = max(1, _BLOCK_ELEMENTS.get(device, 1 << 26) // logits.shape[1])
            for block, label in zip(logits.split(size), labels.split(size), strict=True):
                scores = block.float()
                label = label[:, None]
                scores -= scores.amax(dim=-1, keepdim=True)  # a tenth of max(), which also finds the place
                of_label = scores.gather(1, label)
                right += (of_label >= 0.0).sum()
                loss -= of_label.sum()
                total = scores.exp_().sum(dim=-1, keepdim=True)
                loss += total.log().sum()
                scores /= total
                block.copy_(scores.scatter_add_(1, label, torch.full_like(total, -1.0)))
        ctx.save_for_backward(hidden, weight, logits)
        ctx.has_bias = bias is not None
        ctx.mark_non_differentiable(right)
        return loss, right

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, change = ctx.saved_tensors
        above = gradients[0].to(change.dtype)
        with torch.autocast(hidden.device.type, enabled=False):
            of_bias = change.sum(dim=0) * above if ctx.has_bias else None
            # Scaled before the product with the small factor: the other one is as large as the vocabulary.
            return (change @ weight) * above, change.t() @ (hidden * above), of_bias, None
