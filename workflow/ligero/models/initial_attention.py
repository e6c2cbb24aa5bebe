"""Attention that begins with a token's neighbours, so that a narrow model need not discover first that text has an order.

Freshly initialised heads attend to all tokens alike, and positions are random vectors: a masked token sees the average of its row, and
training stays for long at little more than token frequencies. Here positions begin as sinusoids (Vaswani et al. 2017, section 3.5), of
which a rotation turns each into its neighbour, and half of the heads as that rotation, for the token before or after. Both are trained like all weights. Initial attention with the structure of a trained one is due to Trockman and Kolter, "Mimetic
initialization of self-attention layers", ICML 2023.
"""

from __future__ import annotations

import math
from itertools import cycle
from typing import Any

import torch
from torch import Tensor, nn

from ligero.models.architectures import encoder_of

OFFSETS = (-1, 1, None, None)
"""Of the tokens that the heads begin with, by turns; None: all alike, as a classifier needs."""
PEAK = 4.5
"""Initial attention logit of the token that a head begins with, where position and word weigh the same."""
POSITION_FACTOR = 2.0
"""Standard deviation of the positions over that of the word embeddings: what words mean is noise at first."""
_LONGEST_WAVE = 100.0
"""Of the sinusoids, over the shortest, which has 2 pi tokens."""
_LOCAL = 0.36
"""Radians per token of the slowest sinusoid that heads look at: slower ones hardly tell neighbours apart."""


def attend_to_neighbours(model: nn.Module, word_std: float) -> None:
    """Begin positions and heads of a fresh encoder as the module describes, in place.

    Args:
        model: a transformers model with any head, of a family with absolute positions.
        word_std: standard deviation of its word embeddings.
    """
    encoder: Any = encoder_of(model)
    positions = encoder.embeddings.position_embeddings
    speeds = _speeds(positions.weight.shape[1])
    with torch.no_grad():
        amplitude = POSITION_FACTOR * word_std * math.sqrt(2.0)
        positions.weight[:, : 2 * len(speeds)] = amplitude * sinusoids(len(positions.weight), speeds)
        if positions.padding_idx is not None:
            positions.weight[positions.padding_idx] = 0.0
        if model.config.model_type == "albert":  # type: ignore[union-attr]
            nn.init.eye_(encoder.encoder.embedding_hidden_mapping_in.weight)
        attentions = [
            module for module in encoder.modules() if hasattr(module, "query") or hasattr(module, "q_lin")
        ]
        # Where layers have weights of their own, every second one: classifiers learn little from an encoder without spread layers.
        for attention in attentions[1::2] or attentions:
            query, key = (
                (attention.query, attention.key)
                if hasattr(attention, "query")
                else (attention.q_lin, attention.k_lin)
            )
            count = (
                attention.num_attention_heads
                if hasattr(attention, "num_attention_heads")
                else attention.n_heads
            )
            heads = zip(query.weight.chunk(count), key.weight.chunk(count), cycle(OFFSETS), strict=False)
            for queries, keys, offset in heads:
                if offset is not None:
                    _look_beside(queries, keys, speeds, offset)


@torch.no_grad()
def move_positions_apart(model: nn.Module, word_std: float) -> int:
    """Leave to positions the first dimensions of the embeddings alone, where heads look, and the others to words; in place.

    For word embeddings that mean something from the beginning: positions over all dimensions would drown them, and they the positions.
    Positions get as large as words that have `word_std` in each of the other dimensions.

    Args:
        model: as `attend_to_neighbours` left it.

    Returns:
        How many dimensions are the positions'.
    """
    encoder: Any = encoder_of(model)
    weight = encoder.embeddings.position_embeddings.weight
    width = weight.shape[1]
    apart = 2 * int((_speeds(width) >= _LOCAL).sum())
    weight[:, apart:] = 0.0
    weight[:, :apart] *= (
        word_std * math.sqrt((width - apart) / apart) / weight[:, :apart].square().mean().sqrt()
    )
    return apart


def _speeds(width: int) -> Tensor:
    """Radians per token of the sinusoids of embeddings so wide, falling."""
    return _LONGEST_WAVE ** (-torch.arange(0, width - 1, 2) / width)


def sinusoids(count: int, speeds: Tensor) -> Tensor:
    """[count, 2 * len(speeds)]: sine and cosine of each position times each speed, in turns."""
    angles = torch.arange(count)[:, None] * speeds
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


def _look_beside(query: Tensor, key: Tensor, speeds: Tensor, offset: int) -> None:
    """Add to one head's projections [size, hidden] what makes a position's query the key of the position `offset` further."""
    size, hidden = query.shape
    local = speeds[(speeds >= _LOCAL) & (torch.arange(len(speeds)) < hidden // 2)]
    pairs = min(size // 2, len(local))
    gain = math.sqrt(PEAK * math.sqrt(size) / max(pairs, 1))
    for row in range(pairs):
        wave = row * len(local) // pairs
        sine, cosine = slice(2 * row, 2 * row + 1), slice(2 * row + 1, 2 * row + 2)
        turn = float(speeds[wave]) * offset
        key[sine, 2 * wave] += gain
        key[cosine, 2 * wave + 1] += gain
        query[sine, 2 * wave] += gain * math.cos(turn)
        query[sine, 2 * wave + 1] += gain * math.sin(turn)
        query[cosine, 2 * wave + 1] += gain * math.cos(turn)
        query[cosine, 2 * wave] -= gain * math.sin(turn)
