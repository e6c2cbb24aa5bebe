"""What a student minimises: alpha * cross entropy with gold labels + (1 - alpha) * distillation loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ligero.distillation.alignment import Alignment
from ligero.distillation.losses import Kind, combined_loss, distillation_loss
from ligero.distillation.targets import Targets, TokenTargets
from ligero.settings.tasks import TaskType
from ligero.training.features import Batch
from ligero.training.objective import GoldObjective, gold_weight


class DistillationObjective:
    """The student's training loss; implements `training.objective.Objective`.

    Units of the means: examples (classification), words with a counterpart (tagging), windows (question answering; the start's and
    the end's loss are averaged). In tagging with 0 < alpha < 1 the gold part is a mean over labelled tokens; `weight` then counts
    those. Both counts agree unless truncation cut different words or every subword is labelled; only there do micro batches
    weigh slightly differently than one large batch.

    Args:
        targets: cached or live teacher logits, aligned with the training split.
        alpha: weight of the gold labels, 0 to 1.
        temperature: softens both distributions (`kl`, `ce`).
    """

    forward_options: Mapping[str, Any] = {}

    def __init__(
        self, task_type: TaskType, targets: Targets, *, alpha: float, temperature: float, kind: Kind
    ) -> None:
        self.task_type, self.targets = task_type, targets
        self.alpha, self.temperature, self.kind = alpha, temperature, kind
        self._gold = GoldObjective(task_type)

    def __call__(self, outputs: Any, batch: Batch) -> Tensor:
        gold = self._gold(outputs, batch) if self.alpha > 0.0 else None
        distilled = self._distilled(outputs, batch) if self.alpha < 1.0 else None
        return combined_loss(gold, distilled, self.alpha)

    def attach(self, model: nn.Module) -> None:
        """Outputs are enough."""

    def weight(self, batch: Batch) -> int:
        if self.task_type != "token_classification" or self.alpha > 0.0:
            return gold_weight(self.task_type, batch)
        pairs = self.targets.alignment.pairs[0]
        rows = batch.rows.numpy()
        return int((pairs.offsets[rows + 1] - pairs.offsets[rows]).sum())

    def _distilled(self, outputs: Any, batch: Batch) -> Tensor:
        targets = self.targets(batch)
        if self.task_type == "question_answering":
            valid = valid_positions(self.targets.alignment, batch)
            start = self._position_loss(outputs.start_logits, targets[0], valid)
            end = self._position_loss(outputs.end_logits, targets[1], valid)
            return 0.5 * (start + end)
        (labels,) = targets
        logits = outputs.logits
        student = logits[labels.items] if logits.dim() == 2 else logits[labels.items, labels.positions]
        return distillation_loss(student, labels.logits, self.kind, self.temperature)

    def _position_loss(self, logits: Tensor, target: TokenTargets, valid: Tensor) -> Tensor:
        """Loss of one distribution over token positions; logits and valid are [B, T]."""
        teacher = torch.full_like(logits, -torch.inf, dtype=torch.float32)
        teacher[target.items, target.positions] = target.logits
        student = logits.float().masked_fill(~valid, -torch.inf)
        return distillation_loss(student, teacher, self.kind, self.temperature)


def valid_positions(alignment: Alignment, batch: Batch) -> Tensor:
    """bool [B, T], the positions over which the student's start and end distributions run: every token, without padding and
    without context tokens outside the text that the teacher saw."""
    valid = batch.attention_mask.bool()
    if alignment.known is None:
        return valid
    rows = batch.rows.numpy()
    known, context = alignment.known[rows], alignment.context[rows]  # type: ignore[index]
    inner = np.arange(valid.shape[1])
    outside = (inner >= context[:, :1]) & (inner < context[:, 1:])
    outside &= ~((inner >= known[:, :1]) & (inner < known[:, 1:]))
    return valid & ~torch.from_numpy(outside).to(valid.device)
