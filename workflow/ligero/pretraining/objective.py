"""The pretraining losses: masked language modelling at the predicted tokens only, and sentence order.

The vocabulary projection costs more than a small encoder; computed for the 15 % predicted tokens only, its loss is the
one transformers computes over all tokens with the others ignored.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from ligero.models.architectures import encoder_of, model_inputs


class PretrainingObjective(nn.Module):
    """A transformers pretraining model (...ForPreTraining or ...ForMaskedLM) and its losses in one forward pass."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
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
        outputs = encoder_of(self.model)(
            **model_inputs(self.model.config, input_ids, attention_mask, token_type_ids)
        )
        hidden = outputs.last_hidden_state
        predicted = hidden.reshape(-1, hidden.shape[-1]).index_select(0, positions)
        logits = self._vocabulary_logits(predicted).float()
        result = (
            functional.cross_entropy(logits, labels, reduction="sum"),
            (logits.detach().argmax(-1) == labels).sum(),
        )
        if not self.sentence_order:
            return result
        order = self.model.sop_classifier(outputs.pooler_output).float()  # type: ignore[operator]
        return (
            *result,
            functional.cross_entropy(order, swapped, reduction="sum"),
            (order.detach().argmax(-1) == swapped).sum(),
        )

    def _vocabulary_logits(self, hidden: Tensor) -> Tensor:
        """Scores of the vocabulary, [M, V], by the architecture's own head."""
        model: nn.Module = self.model
        kind = str(model.config.model_type)  # type: ignore[union-attr]
        if kind == "distilbert":
            hidden = model.activation(model.vocab_transform(hidden))  # type: ignore[operator]
            return model.vocab_projector(model.vocab_layer_norm(hidden))  # type: ignore[operator]
        head = {"albert": "predictions", "bert": "cls", "roberta": "lm_head"}[kind]
        return getattr(model, head)(hidden)
