"""A teacher that runs at every step: what cached logits are measured against, and what they must equal."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

import _workflow  # noqa: F401
from ligero.distillation.alignment import Alignment
from ligero.distillation.targets import TokenTargets, token_targets
from ligero.distillation.token_layout import TokenLayout, ragged_indices
from ligero.training.features import Batch, EncodedSplit


class LiveTargets:
    """Runs the teacher on the features that a batch is aligned with: the reference that the cache is measured against.

    Args:
        layout: the layout of `split`, which `alignment` was made with.
        split: the teacher's encoded training split.
    """

    def __init__(
        self, alignment: Alignment, layout: TokenLayout, split: EncodedSplit, teacher: nn.Module, pad_id: int
    ) -> None:
        self.alignment = alignment
        self._layout, self._split, self._teacher, self._pad_id = layout, split, teacher.eval(), pad_id

    def __call__(self, batch: Batch) -> tuple[TokenTargets, ...]:
        rows = batch.rows.numpy()
        device = batch.input_ids.device
        gathered = [ragged_indices(pairs.offsets, rows) for pairs in self.alignment.pairs]
        sources = [
            pairs.sources[indices] for pairs, (indices, _) in zip(self.alignment.pairs, gathered, strict=True)
        ]
        features_of = [np.searchsorted(self._layout.offsets, source, side="right") - 1 for source in sources]
        features = np.unique(np.concatenate(features_of))
        if not len(features):
            return tuple(
                token_targets(pairs, indices, items, torch.zeros(0, 1), device)
                for pairs, (indices, items) in zip(self.alignment.pairs, gathered, strict=True)
            )
        logits = teacher_logits(self._teacher, self._split.batch(features, self._pad_id).to(device))
        found = []
        for number, pairs in enumerate(self.alignment.pairs):
            indices, items = gathered[number]
            row = torch.from_numpy(np.searchsorted(features, features_of[number]))
            position = torch.from_numpy(self._layout.positions[sources[number]].astype(np.int64))
            values = logits[row.to(device), position.to(device)]
            if len(self.alignment.pairs) == 2:
                values = values[:, number]
            found.append(token_targets(pairs, indices, items, values, device))
        return tuple(found)


@torch.no_grad()
def teacher_logits(teacher: nn.Module, batch: Batch) -> Tensor:
    """float32 [B, T, C]: label logits of every token; [B, 1, C] for classification; start and end as C = 2."""
    outputs = teacher(**batch.inputs(teacher))
    if hasattr(outputs, "start_logits"):
        return torch.stack([outputs.start_logits, outputs.end_logits], dim=-1).float()
    logits = outputs.logits.float()
    return logits[:, None] if logits.dim() == 2 else logits
