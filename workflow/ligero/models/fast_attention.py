"""ALBERT's encoder with one attention projection, attention row by row in bf16 on a CPU, heads as wide as a GPU's kernels take them,
and a last layer that computes what is asked for only; what is saved does not change."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.albert.modeling_albert import AlbertAttention, AlbertLayer, AlbertTransformer

Projection = tuple[Tensor, Tensor]
"""Weight [3 * heads * width, hidden] and bias of queries, keys and values, in the type that products are computed in."""
_WIDTH_MULTIPLE = {"cuda": 8}
"""What divides the width of a head in the kernels of a kind of device. torch gives them others by padding copies, at every call."""


def use_fused_attention(model: nn.Module) -> nn.Module:
    """Replace ALBERT's attention by one that projects queries, keys and values in one matrix product, in place.

    The parameters stay those of the three projections, by their names. Other architectures are left as they are.
    """
    for layer in model.modules():
        if isinstance(layer, AlbertLayer) and isinstance(layer.attention, AlbertAttention):
            layer.attention = FusedAlbertAttention(layer.attention)
    return model


def has_fused_attention(model: nn.Module) -> bool:
    """Whether `use_fused_attention` found something to replace in a model."""
    return any(isinstance(module, FusedAlbertAttention) for module in model.modules())


def states_at(transformer: AlbertTransformer, hidden_states: Tensor, places: Tensor) -> Tensor:
    """The last layer's states of some tokens, without padding: the others only lend it keys and values.

    Args:
        transformer: ALBERT's layers, with fused attention.
        hidden_states: embeddings [B, S, embedding].
        places: int64 [B, P], places in each row.

    Returns:
        [B, P, hidden], equal to what all tokens' states hold there.
    """
    config = transformer.config
    hidden_states = transformer.embedding_hidden_mapping_in(hidden_states)
    layers = config.num_hidden_layers * config.inner_group_num
    projections: dict[int, Projection] = {}
    for number in range(layers):
        depth, inner = divmod(number, config.inner_group_num)
        group = transformer.albert_layer_groups[depth * config.num_hidden_groups // config.num_hidden_layers]
        layer = group.albert_layers[inner]
        # Layers share their weights: packed and rounded once, not at every depth.
        if id(layer) not in projections:
            projections[id(layer)] = layer.attention.packed_projection(hidden_states)
        last = {"places": places} if number == layers - 1 else {}
        hidden_states = layer(hidden_states, projection=projections[id(layer)], **last)
    return hidden_states


class FusedAlbertAttention(nn.Module):
    """An AlbertAttention's modules with one projection, and on a CPU in bf16 with attention computed row by row."""

    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    dense: nn.Linear
    attention_dropout: nn.Dropout
    output_dropout: nn.Dropout
    LayerNorm: nn.LayerNorm

    def __init__(self, plain: AlbertAttention) -> None:
        super().__init__()
        for name, module in plain.named_children():
            self.add_module(name, module)
        self.heads, self.head_size = plain.num_attention_heads, plain.attention_head_size
        self.scaling = plain.scaling
        self.training = plain.training

    def packed_projection(self, hidden_states: Tensor) -> Projection:
        """The three projections as one; on a CPU in bf16 queries are scaled, in fp32: once rounded, not twice.

        On a GPU each head's outputs are followed by zeros up to the width that its kernels take (ALBETO tiny: 26 -> 32). They add
        nothing to a product of queries and keys, and those of the values are cut off, so that the result is the same.
        """
        scale = self.scaling if _bf16_on_cpu(hidden_states) else 1.0
        queries: tuple[Tensor, Tensor] = (self.query.weight, self.query.bias)
        if scale != 1.0:
            queries = (queries[0] * scale, queries[1] * scale)
        weight = torch.cat([queries[0], self.key.weight, self.value.weight])
        bias = torch.cat([queries[1], self.key.bias, self.value.bias])
        missing = self._width(hidden_states) - self.head_size
        if missing:
            split = (3 * self.heads, self.head_size)
            weight = functional.pad(weight.view(*split, -1), (0, 0, 0, missing)).flatten(0, 1)
            bias = functional.pad(bias.view(split), (0, missing)).flatten()
        kind = hidden_states.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype
        return weight.to(dtype), bias.to(dtype)

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        projection: Projection | None = None,
        places: Tensor | None = None,
        **_: Any,
    ) -> tuple[Tensor, None]:
        """Attention, projection, residual and norm, [B, S, hidden], or [B, P, hidden] at the `places` [B, P] of each row, which
        then have no padding (no mask). Attention weights are never returned.
        """
        weight, bias = projection or self.packed_projection(hidden_states)
        scale = 1.0 if _bf16_on_cpu(hidden_states) else self.scaling
        if places is not None:
            attended, hidden_states = self._attended_at(places, hidden_states, weight, bias, scale)
        else:
            attended = self._attended(hidden_states, weight, bias, scale, attention_mask)
        projected = self.output_dropout(self.dense(attended))
        return self.LayerNorm(hidden_states + projected), None

    def _attended(
        self, hidden_states: Tensor, weight: Tensor, bias: Tensor, scale: float, mask: Tensor | None
    ) -> Tensor:
        """What every token attends to, [B, S, hidden]."""
        rows, length = hidden_states.shape[:2]
        packed = functional.linear(hidden_states, weight, bias)
        packed = packed.view(rows, length, 3, self.heads, self._width(hidden_states))
        if mask is None and _bf16_on_cpu(hidden_states) and self._dropout == 0.0:
            attended: Tensor = _RowAttention.apply(packed)
            return attended.reshape(rows, length, -1)
        query, key, value = packed.permute(2, 0, 3, 1, 4).unbind()
        return self._attention(query, key, value, scale, mask)

    def _attended_at(
        self, places: Tensor, hidden_states: Tensor, weight: Tensor, bias: Tensor, scale: float
    ) -> tuple[Tensor, Tensor]:
        """What the tokens at `places` attend to, and their own states, both [B, P, hidden]."""
        rows, length, hidden = hidden_states.shape
        chosen = hidden_states.gather(1, places[:, :, None].expand(-1, -1, hidden))
        heads = (self.heads, self._width(hidden_states))
        own = heads[0] * heads[1]
        query = functional.linear(chosen, weight[:own], bias[:own]).view(rows, -1, *heads)
        packed = functional.linear(hidden_states, weight[own:], bias[own:]).view(rows, length, 2, *heads)
        key, value = packed.permute(2, 0, 3, 1, 4).unbind()
        return self._attention(query.transpose(1, 2), key, value, scale), chosen

    def _attention(
        self, query: Tensor, key: Tensor, value: Tensor, scale: float, mask: Tensor | None = None
    ) -> Tensor:
        """torch's attention, [B, P, hidden]."""
        attended = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, dropout_p=self._dropout, scale=scale
        )
        return attended[..., : self.head_size].transpose(1, 2).reshape(query.shape[0], query.shape[2], -1)

    def _width(self, hidden_states: Tensor) -> int:
        """Of a head in the packed projection."""
        multiple = _WIDTH_MULTIPLE.get(hidden_states.device.type, 1)
        return -(-self.head_size // multiple) * multiple

    @property
    def _dropout(self) -> float:
        return self.attention_dropout.p if self.training else 0.0


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
    its backward computes the scores again. Here the probabilities are kept, 2 * B * heads * S * S bytes per layer.
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
                # As transposes of wide products, which are a fourth faster than the tall ones.
                own[1] = torch.bmm(query.transpose(1, 2), scores).transpose(1, 2)
                own[2] = torch.bmm(above.transpose(1, 2), probabilities).transpose(1, 2)
        return result
