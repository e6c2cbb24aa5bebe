"""Matching relations between tokens: what a student can learn of a teacher's inside without having its width or depth.

A relation of vectors x_1..x_T is softmax(x_i . x_j / sqrt(d)) over j, per relation head: each vector is cut into as many slices as
there are relation heads, a number that both widths are divisible by, so no projection has to be learned. The loss is the KL
divergence of the student's relations from the teacher's.

- `attention`: relations of queries, keys and values of the last layer (Wang et al., "MiniLMv2: Multi-Head Self-Attention Relation
  Distillation", Findings of ACL 2021, section 3.1).
- `hidden`: relations of hidden states, student layer m with teacher layer m * N / M (the layer map of Jiao et al., "TinyBERT",
  Findings of EMNLP 2020, section 3.1, with relations in place of its learned projection).

Both run the teacher at every step: what they match is too large to cache. Teacher and student must read the same tokens.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ligero.common.errors import LigeroError
from ligero.training.features import Batch
from ligero.training.objective import Objective

RelationKind = Literal["hidden", "attention"]

_PROJECTIONS = (("query", "q_lin"), ("key", "k_lin"), ("value", "v_lin"))
"""Names of the linear layers that make queries, keys and values (BERT, RoBERTa and ALBERT; DistilBERT)."""


def relation_heads(student_width: int, teacher_width: int, at_most: int) -> int:
    """The largest number up to `at_most` that divides both widths."""
    common = math.gcd(student_width, teacher_width)
    return max(count for count in range(1, max(at_most, 1) + 1) if common % count == 0)


def relation_loss(student: Tensor, teacher: Tensor, mask: Tensor, heads: int) -> Tensor:
    """KL(teacher's relations || student's), mean over heads and over the tokens of each feature, then over features.

    Args:
        student: [B, T, D_s]; teacher: [B, T, D_t], carries no gradient.
        mask: bool [B, T], the tokens; padding neither relates nor is related to.
        heads: divides D_s and D_t.
    """
    # Autocast would take the products back to low precision.
    with torch.autocast(student.device.type, enabled=False):
        ours, theirs = (_log_relations(x.float(), mask, heads) for x in (student, teacher.detach()))
    theirs, ours = (torch.where(mask[:, None, None, :], x, 0.0) for x in (theirs, ours))
    weights = torch.where(mask[:, None, None, :], theirs.exp(), 0.0)
    per_token = (weights * (theirs - ours)).sum(-1).mean(1)
    tokens = mask.sum(1).clamp(min=1)
    return ((per_token * mask).sum(1) / tokens).mean()


def _log_relations(vectors: Tensor, mask: Tensor, heads: int) -> Tensor:
    """[B, heads, T, T] log relations; -inf at padding columns."""
    batch, length, width = vectors.shape
    split = vectors.view(batch, length, heads, width // heads).transpose(1, 2)
    scores = split @ split.transpose(-1, -2) / math.sqrt(width // heads)
    return scores.masked_fill(~mask[:, None, None, :], -torch.inf).log_softmax(-1)


def mapped_layers(student_layers: int, teacher_layers: int) -> list[int]:
    """For each student layer 1..M the teacher layer that it imitates (TinyBERT's uniform map); 0 are the embeddings."""
    return [round(layer * teacher_layers / student_layers) for layer in range(1, student_layers + 1)]


class AttentionProbe:
    """Keeps what the last layer's query, key and value projections put out in the latest forward pass.

    Layers that share weights (ALBERT) call one projection several times; the last call is the last layer.

    Raises:
        LigeroError: the model has no such projections.
    """

    def __init__(self, model: nn.Module) -> None:
        self._found: dict[int, Tensor] = {}
        for number, names in enumerate(_PROJECTIONS):
            modules = [m for name, m in model.named_modules() if name.rsplit(".", 1)[-1] in names]
            if not modules:
                raise LigeroError(
                    f"distillation.relations: attention finds no {names[0]} projection in {type(model).__name__}; "
                    "use relations: hidden"
                )
            modules[-1].register_forward_hook(self._keeper(number))

    def take(self) -> list[Tensor]:
        """Queries, keys and values [B, T, D] of the latest pass."""
        found = [self._found[number] for number in range(len(_PROJECTIONS))]
        self._found.clear()
        return found

    def _keeper(self, number: int) -> Any:
        def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:
            self._found[number] = output

        return keep


class RelationObjective:
    """Another objective plus weight * relation loss; implements `training.objective.Objective`.

    The relation loss is a mean over features. Where the other objective counts tokens (tagging), micro batches of one effective
    batch weigh their relation losses by tokens too.

    Args:
        base: the objective beside it, e.g. a DistillationObjective.
        teacher: reads the same tokens as the student; set to evaluation mode.
    """

    def __init__(self, base: Objective, teacher: nn.Module, kind: RelationKind, weight: float = 1.0) -> None:
        self.base, self.kind, self.relation_weight = base, kind, weight
        self._teacher = teacher.eval()
        hidden = {"output_hidden_states": True} if kind == "hidden" else {}
        self.forward_options: Mapping[str, Any] = {**base.forward_options, **hidden}
        self._teacher_probe = AttentionProbe(teacher) if kind == "attention" else None
        self._probe: AttentionProbe | None = None

    def attach(self, model: nn.Module) -> None:
        self.base.attach(model)
        if self.kind == "attention":
            self._probe = AttentionProbe(model)

    def weight(self, batch: Batch) -> int:
        return self.base.weight(batch)

    def __call__(self, outputs: Any, batch: Batch) -> Tensor:
        mask = batch.attention_mask.bool()
        device = batch.input_ids.device
        self._teacher.to(device)
        with torch.no_grad():
            theirs = self._teacher(**batch.inputs(self._teacher), output_hidden_states=self.kind == "hidden")
        pairs = self._attention_pairs() if self.kind == "attention" else _hidden_pairs(outputs, theirs)
        config: Any = self._teacher.config
        most = int(config.num_attention_heads)
        losses = [relation_loss(a, b, mask, relation_heads(a.shape[-1], b.shape[-1], most)) for a, b in pairs]
        return self.base(outputs, batch) + self.relation_weight * torch.stack(losses).mean()

    def _attention_pairs(self) -> list[tuple[Tensor, Tensor]]:
        if self._probe is None or self._teacher_probe is None:
            raise RuntimeError("RelationObjective.attach was not called with the student")
        return list(zip(self._probe.take(), self._teacher_probe.take(), strict=True))


def _hidden_pairs(student: Any, teacher: Any) -> list[tuple[Tensor, Tensor]]:
    ours, theirs = student.hidden_states, teacher.hidden_states
    layers = mapped_layers(len(ours) - 1, len(theirs) - 1)
    return [(ours[number], theirs[layer]) for number, layer in enumerate(layers, start=1)]
