"""The pretraining losses: masked language modelling at the predicted tokens only, and sentence order.

The vocabulary projection costs more than a small encoder; computed for the 15 % predicted tokens only, its loss is the
one transformers computes over all tokens with the others ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ligero.models.architectures import encoder_of, model_inputs
from ligero.pretraining.vocabulary_loss import vocabulary_loss


@dataclass(frozen=True)
class Counts:
    """How much a whole batch holds, of all processes together: what the sums of its parts are divided by."""

    predictions: int
    rows: int
    lessons: int = 0
    """Tokens with a teacher's state."""


class PretrainingObjective(nn.Module):
    """A transformers pretraining model (...ForPreTraining or ...ForMaskedLM) and its losses in one forward pass.

    Args:
        fused: compute the cross entropy with its gradient in one pass over the logits (vocabulary_loss); False leaves
            it to torch, for torch.compile, which fuses it itself.
        predictions: the most tokens that are predicted in a row of some length, known without asking the device.
    """

    def __init__(
        self, model: nn.Module, fused: bool = True, predictions: Callable[[int], int] = lambda length: length
    ) -> None:
        super().__init__()
        self.model, self.fused, self.predictions = model, fused, predictions
        self.only_needed = False
        """Whether the last layer is computed for the predicted tokens and [CLS] alone; ALBERT with fused attention can."""
        if model.config.model_type == "albert":  # type: ignore[union-attr]
            from ligero.models.fast_attention import has_fused_attention

            self.only_needed = has_fused_attention(model)
        self.sentence_order = hasattr(model, "sop_classifier")

    def forward(
        self,
        input_ids: Tensor,
        token_type_ids: Tensor,
        positions: Tensor,
        labels: Tensor,
        swapped: Tensor,
        attention_mask: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """Sums over one micro batch, to be divided by the counts of the whole batch; shapes as in PretrainingBatch.

        Packed rows need no attention mask; padded ones (the benchmark's peer) bring theirs, [B, S].

        Returns:
            Scalars: cross entropy of the masked tokens, right ones; with sentence order also its cross entropy, right ones.
        """
        if self.only_needed and attention_mask is None:
            predicted, pooled = self._needed_states(input_ids, token_type_ids, positions)
        else:
            predicted, pooled = self._states(input_ids, token_type_ids, positions, attention_mask)
        result = self._vocabulary_loss(predicted, labels)
        if not self.sentence_order:
            return result
        order = self.model.sop_classifier(pooled).float()  # type: ignore[operator]
        return (
            *result,
            functional.cross_entropy(order, swapped, reduction="sum"),
            (order.detach().argmax(-1) == swapped).sum(),
        )

    def mean(self, sums: tuple[Tensor, ...], counts: Counts) -> Tensor:
        """What is minimised: the part of a micro batch, whose `sums` the forward pass gave, in the loss of its whole batch."""
        loss = sums[0] / max(counts.predictions, 1)
        return loss + sums[2] / counts.rows if self.sentence_order else loss

    def readings(self, sums: Sequence[float], counts: Counts) -> dict[str, float]:
        """Losses and accuracies of a whole batch, of the sums over all its parts."""
        mlm, right, sop, sop_right = (*sums, 0.0, 0.0)[:4]
        predictions = max(counts.predictions, 1)
        found = {"mlm_loss": mlm / predictions, "mlm_accuracy": right / predictions}
        if self.sentence_order:
            found |= {"sop_loss": sop / counts.rows, "sop_accuracy": sop_right / counts.rows}
        return found

    def total(self, readings: dict[str, float]) -> float:
        """The loss in those readings."""
        return readings["mlm_loss"] + readings.get("sop_loss", 0.0)

    def _states(
        self, input_ids: Tensor, token_type_ids: Tensor, positions: Tensor, attention_mask: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """States at the predicted tokens, [M, hidden], and the pooled [CLS], [B, hidden], where the model pools."""
        outputs = encoder_of(self.model)(
            **model_inputs(self.model.config, input_ids, attention_mask, token_type_ids)
        )
        hidden = outputs.last_hidden_state
        predicted = hidden.reshape(-1, hidden.shape[-1]).index_select(0, positions)
        return predicted, getattr(outputs, "pooler_output", None)

    def _needed_states(
        self, input_ids: Tensor, token_type_ids: Tensor, positions: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """The same of ALBERT's fused encoder: its last layer is computed for the predicted tokens and [CLS] alone."""
        from ligero.models.fast_attention import states_at

        encoder: Any = encoder_of(self.model)
        rows, length = input_ids.shape
        row, place = positions // length, positions % length
        counts = torch.zeros(rows, dtype=torch.long, device=row.device).index_add_(
            0, row, torch.ones_like(row)
        )
        rank = torch.arange(len(row), device=row.device) - (counts.cumsum(0) - counts)[row]
        # [CLS] comes first, and again where a row has fewer predictions than the others.
        places = torch.zeros(rows, 1 + self.predictions(length), dtype=torch.long, device=row.device)
        places[row, 1 + rank] = place
        embedded = encoder.embeddings(input_ids, token_type_ids=token_type_ids)
        hidden = states_at(encoder.encoder, embedded, places)
        pooled = encoder.pooler_activation(encoder.pooler(hidden[:, 0])) if encoder.pooler else None
        return hidden[row, 1 + rank], pooled

    def _vocabulary_loss(self, predicted: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Cross entropy of the masked tokens from their states [M, hidden], and how many are right."""
        hidden, decoder = self._before_decoder(predicted)
        return (vocabulary_loss if self.fused else _plain_loss)(hidden, decoder, labels)

    def _before_decoder(self, hidden: Tensor) -> tuple[Tensor, nn.Linear]:
        """What the architecture's own head does before its projection onto the vocabulary, [M, E], and that."""
        model: Any = self.model
        kind = str(model.config.model_type)
        if kind == "distilbert":
            hidden = model.activation(model.vocab_transform(hidden))
            return model.vocab_layer_norm(hidden), model.vocab_projector
        if kind == "bert":
            head = model.cls.predictions
            return head.transform(hidden), head.decoder
        if kind == "albert":
            head = model.predictions
            return head.LayerNorm(head.activation(head.dense(hidden))), head.decoder
        head = model.lm_head
        return head.layer_norm(functional.gelu(head.dense(hidden))), head.decoder


def _plain_loss(hidden: Tensor, decoder: nn.Linear, labels: Tensor) -> tuple[Tensor, Tensor]:
    logits = decoder(hidden).float()
    loss = functional.cross_entropy(logits, labels, reduction="sum")
    return loss, (logits.detach().argmax(-1) == labels).sum()
