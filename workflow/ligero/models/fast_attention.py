"""ALBERT's encoder with one attention projection, attention row by row in bf16 on a CPU, and a last layer that computes
what is asked for only; what is saved does not change."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.albert.modeling_albert import AlbertAttention, AlbertTransformer


def use_fused_attention(model: nn.Module) -> nn.Module:
    """Let ALBERT's attention project queries, keys and values in one matrix product, in place.

    The parameters stay those of the three projections, by their names. Other architectures are left as they are.
    """
    for module in model.modules():
        if type(module) is AlbertAttention:
            module.__class__ = FusedAlbertAttention
        if type(module) is AlbertTransformer:
            module.__class__ = FusedAlbertTransformer
    return model


class FusedAlbertTransformer(AlbertTransformer):
    """AlbertTransformer whose last layer may be computed for some tokens only."""

    def states_at(self, hidden_states: Tensor, chosen: Tensor) -> Tensor:
        """The last layer's states of the tokens `chosen`, without padding: the others only lend it keys and values.

        Args:
            hidden_states: embeddings [B, S, embedding]; chosen: int64 [N], places in the flattened [B * S] rows.

        Returns:
            [N, hidden], equal to what all tokens' states hold there.
        """
        config = self.config
        hidden_states = self.embedding_hidden_mapping_in(hidden_states)
        layers = config.num_hidden_layers * config.inner_group_num
        for number in range(layers):
            depth, inner = divmod(number, config.inner_group_num)
            group = self.albert_layer_groups[depth * config.num_hidden_groups // config.num_hidden_layers]
            last = {"chosen": chosen} if number == layers - 1 else {}
            hidden_states = group.albert_layers[inner](hidden_states, **last)
        return hidden_states


class FusedAlbertAttention(AlbertAttention):
    """AlbertAttention with one projection, and on a CPU in bf16 with attention computed row by row."""

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        chosen: Tensor | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor]:
        """Attention, projection, residual and norm, [B, S, hidden], or [N, hidden] of the `chosen` places in the flattened
        rows; rows without padding only (no mask).

        With a mask, or where attention weights are asked for, transformers' own code runs.
        """
        if attention_mask is not None or self.config._attn_implementation != "sdpa":
            return super().forward(hidden_states, attention_mask, **kwargs)
        rows, length = hidden_states.shape[:2]
        dropout = self.attention_dropout.p if self.training else 0.0
        by_row = _bf16_on_cpu(hidden_states) and dropout == 0.0
        scale = self.scaling if by_row else 1.0  # in fp32, on the weights: once rounded, not twice
        weight = torch.cat([self.query.weight * scale, self.key.weight, self.value.weight])
        bias = torch.cat([self.query.bias * scale, self.key.bias, self.value.bias])
        packed = functional.linear(hidden_states, weight, bias)
        packed = packed.view(rows, length, 3, self.num_attention_heads, self.attention_head_size)
        if by_row:
            attended: Tensor = _RowAttention.apply(packed)
        else:
            query, key, value = packed.permute(2, 0, 3, 1, 4).unbind()
            attended = functional.scaled_dot_product_attention(
                query, key, value, dropout_p=dropout, scale=self.scaling
            ).transpose(1, 2)
        attended = attended.reshape(rows, length, -1)
        if chosen is not None:
            attended, hidden_states = (
                states.reshape(rows * length, -1).index_select(0, chosen)
                for states in (attended, hidden_states)
            )
        projected = self.output_dropout(self.dense(attended))
        return self.LayerNorm(hidden_states + projected), None  # type: ignore[return-value]


def _bf16_on_cpu(hidden: Tensor) -> bool:
    return (
        hidden.device.type == "cpu"
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
        and not torch.compiler.is_compiling()
    )


class _RowAttention(torch.autograd.Function):
    """softmax(Q K^T) V of one row after another, all heads at once, so that the scores stay in the processor's cache.

    torch's flash attention takes more than twice as long in bf16 on one thread: it converts every block to fp32, and
    its backward computes the scores again. Here the probabilities are kept, 2 * B * heads * S * S bytes a layer.
    """

    @staticmethod
    def forward(ctx: Any, packed: Tensor) -> Tensor:
        """`packed` [B, S, 3, heads, size]: scaled queries, keys, values. Returns [B, S, heads, size]."""
        rows, length, _, heads, size = packed.shape
        kept = rows if packed.requires_grad else 1
        weights = packed.new_empty(kept, heads, length, length)
        scores = packed.new_empty(heads, length, length)
        result = packed.new_empty(rows, length, heads, size)
        with torch.autocast("cpu", enabled=False):
            for row in range(rows):
                query, key, value = packed[row].permute(1, 2, 0, 3).unbind()
                torch.bmm(query, key.transpose(1, 2), out=scores)
                probabilities = torch.softmax(scores, -1, out=weights[row % kept])
                result[row] = torch.bmm(probabilities, value).transpose(0, 1)
        ctx.save_for_backward(packed, weights)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """The softmax's gradient is P * (dP - rowsum(P * dP))."""
        packed, weights = ctx.saved_tensors
        result = torch.empty_like(packed)
        change = torch.empty_like(weights[0])
        with torch.autocast("cpu", enabled=False):
            for row, probabilities in enumerate(weights):
                query, key, value = packed[row].permute(1, 2, 0, 3).unbind()
                above = gradients[0][row].to(packed.dtype).transpose(0, 1).contiguous()
                torch.bmm(above, value.transpose(1, 2), out=change)
                scores = torch._softmax_backward_data(change, probabilities, -1, packed.dtype)
                own = result[row].permute(1, 2, 0, 3)
                own[0] = torch.bmm(scores, key)
                own[1] = torch.bmm(scores.transpose(1, 2), query)
                own[2] = torch.bmm(probabilities.transpose(1, 2), above)
        return result
