"""What a trial minimises: the gold labels' cross entropy here, the teacher's logits in ligero.distillation.objective."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ligero.settings.tasks import TaskType
from ligero.training.features import IGNORED, Batch


class Objective(Protocol):
    """A loss over one micro batch.

    The trial loop weighs micro batches by `weight`, so that accumulated gradients equal those of the whole batch:
    the loss must be a mean over `weight(batch)` units.
    """

    forward_options: Mapping[str, Any]
    """Keyword arguments that the model's forward pass gets besides its inputs, e.g. output_hidden_states=True."""

    def __call__(self, outputs: Any, batch: Batch) -> Tensor:
        """The mean loss, a scalar on the outputs' device; `outputs` has logits, or start_logits and end_logits."""
        ...

    def attach(self, model: nn.Module) -> None:
        """Called with the model before its first step, by a trial, for objectives that look into it beyond its outputs."""
        ...

    def weight(self, batch: Batch) -> int:
        """How many units (examples, labelled tokens, windows) the loss of this batch is a mean over."""
        ...


class GoldObjective:
    """Cross entropy with the gold labels, in float32 whatever the model's precision.

    Mean over examples (classification), over labelled tokens (tagging), or over windows of the mean of the start's and the
    end's (question answering). Start and end distributions run over the window's tokens, not over padding, so that the
    loss does not depend on what else is in a batch.
    """

    forward_options: Mapping[str, Any] = {}

    def __init__(self, task_type: TaskType) -> None:
        self.task_type = task_type

    def __call__(self, outputs: Any, batch: Batch) -> Tensor:
        if self.task_type == "question_answering":
            return 0.5 * (
                position_loss(outputs.start_logits, batch.targets["start"], batch.attention_mask)
                + position_loss(outputs.end_logits, batch.targets["end"], batch.attention_mask)
            )
        labels = batch.targets["labels"].flatten()
        logits = outputs.logits.flatten(0, -2).float()
        total = F.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum")
        return total / (labels != IGNORED).sum().clamp(min=1)

    def attach(self, model: nn.Module) -> None:
        """Outputs are enough."""

    def weight(self, batch: Batch) -> int:
        return gold_weight(self.task_type, batch)


def gold_weight(task_type: TaskType, batch: Batch) -> int:
    """Units that carry a gold label: examples, labelled tokens or windows."""
    if task_type == "token_classification":
        return int((batch.targets["labels"] != IGNORED).sum())
    return len(batch)


def position_loss(logits: Tensor, positions: Tensor, attention_mask: Tensor) -> Tensor:
    """Cross entropy of token positions.

    Args:
        logits: [B, T].
        positions: int64 [B].
        attention_mask: [B, T], 0 on padding, which gets no probability.
    """
    lowest = torch.finfo(torch.float32).min
    return F.cross_entropy(logits.float().masked_fill(attention_mask == 0, lowest), positions)
