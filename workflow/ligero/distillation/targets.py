"""Where a batch's teacher logits come from: the cache (gathered by row) or a teacher that runs at every step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ligero.common.errors import MismatchError
from ligero.distillation.alignment import Alignment, Pairs
from ligero.distillation.token_layout import Ints, TokenLayout, ragged_indices
from ligero.training.data import Batch, EncodedSplit
from ligero.training.steps import model_inputs

Logits = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class TokenTargets:
    """Teacher logits for P tokens of a batch, on the batch's device.

    Attributes:
        items: int64 [P], which feature of the batch.
        positions: int64 [P], which token of it.
        logits: float32 [P, C] for labels, [P] for one of question answering's two distributions.
    """

    items: Tensor
    positions: Tensor
    logits: Tensor


class Targets(Protocol):
    """Teacher logits, already aligned with the student's features."""

    alignment: Alignment

    def __call__(self, batch: Batch) -> tuple[TokenTargets, ...]:
        """One for labels; start and end for question answering."""
        ...


class CachedTargets:
    """Gathers from cached logits.

    Args:
        alignment: from `alignment.align`.
        logits: [N, C], the teacher's entries; may be memory-mapped, only what a batch needs is read. Question answering has the
            start logit in column 0 and the end logit in column 1.
    """

    def __init__(self, alignment: Alignment, logits: Logits) -> None:
        self.alignment = alignment
        self._logits = logits

    def __call__(self, batch: Batch) -> tuple[TokenTargets, ...]:
        rows = batch.rows.numpy()
        device = batch.input_ids.device
        found = []
        for number, pairs in enumerate(self.alignment.pairs):
            indices, items = ragged_indices(pairs.offsets, rows)
            values = self._logits[pairs.sources[indices]]
            if len(self.alignment.pairs) == 2:
                values = values[:, number]
            found.append(_token_targets(pairs, indices, items, torch.from_numpy(_float32(values)), device))
        return tuple(found)


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
                _token_targets(pairs, indices, items, torch.zeros(0, 1), device)
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
            found.append(_token_targets(pairs, indices, items, values, device))
        return tuple(found)


@torch.no_grad()
def teacher_logits(teacher: nn.Module, batch: Batch) -> Tensor:
    """float32 [B, T, C]: label logits of every token; [B, 1, C] for classification; start and end as C = 2."""
    outputs = teacher(**model_inputs(teacher, batch))
    if hasattr(outputs, "start_logits"):
        return torch.stack([outputs.start_logits, outputs.end_logits], dim=-1).float()
    logits = outputs.logits.float()
    return logits[:, None] if logits.dim() == 2 else logits


def check_classes(logits: Logits, labels: int, task_type: str) -> None:
    """The cache must have one logit a label (two for question answering).

    Raises:
        MismatchError: it has another number.
    """
    expected = 2 if task_type == "question_answering" else labels
    if logits.shape[-1] != expected:
        raise MismatchError(
            f"cached logits have {logits.shape[-1]} classes, the task has {expected}; build them again"
        )


def _token_targets(
    pairs: Pairs, indices: Ints, items: Ints, logits: Tensor, device: torch.device
) -> TokenTargets:
    return TokenTargets(
        items=torch.from_numpy(items).to(device, non_blocking=True),
        positions=torch.from_numpy(pairs.positions[indices].astype(np.int64)).to(device, non_blocking=True),
        logits=logits.to(device, non_blocking=True),
    )


def _float32(values: Logits) -> Logits:
    return np.ascontiguousarray(values, dtype=np.float32)
