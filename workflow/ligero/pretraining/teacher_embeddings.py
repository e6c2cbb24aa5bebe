"""Initial embeddings made of a teacher's states: a subword begins as the mean of what the teacher makes of the spans it occurs in.

Static embeddings of this kind hold much of what a contextual encoder knows of a word (Bommasani et al., "Interpreting pretrained
contextualized representations via reductions to static embeddings", ACL 2020); as a start for another vocabulary they take the place of
the teacher's own embeddings (Minixhofer et al., "WECHSEL", NAACL 2022). They cost one pass over the cached states.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ligero.models.architectures import encoder_of
from ligero.pretraining.teacher_states import TeacherStates

TAUGHT_RANGE = 1.0
"""Spread of such embeddings, and of the random ones beside them, where a recipe does not say: far above that of random positions."""
_CHUNK = 1 << 17
_PRIOR = 1.0
"""A subword's mean counts as many occurrences of the mean of all, which is 0, more: rare ones are not trusted wholly."""


def mean_states(
    tokens: NDArray[np.integer[Any]], states: TeacherStates, vocabulary: int, dimensions: int
) -> tuple[Tensor, Tensor]:
    """The shrunken mean state of each subword, float32 [vocabulary, dimensions], and how often it occurs with one, [vocabulary]."""
    sums, counts = torch.zeros(vocabulary, dimensions), torch.zeros(vocabulary)
    for start in range(0, len(tokens), _CHUNK):
        spans = states.spans[start : start + _CHUNK]
        taught = spans >= 0
        ids = torch.from_numpy(tokens[start : start + _CHUNK][taught].astype(np.int64))
        values = states.states[spans[taught]][:, :dimensions].astype(np.float32)
        sums.index_add_(0, ids, torch.from_numpy(values))
        counts.index_add_(0, ids, torch.ones(len(ids)))
    return sums / (counts + _PRIOR)[:, None], counts


@torch.no_grad()
def initialise_embeddings(
    model: nn.Module,
    tokens: NDArray[np.integer[Any]],
    states: TeacherStates,
    spread: float,
    positions: int = 0,
) -> int:
    """Set a model's word embeddings in place and return how many subwords got a state.

    Subwords that do not occur keep their random ones, and so do dimensions that the states do not have. ALBERT's map from embeddings
    to hidden states begins as the identity, so nothing of them is lost on the way.

    Args:
        spread: the mean root of the squares of the new embeddings, as that of the random ones.
        positions: first dimensions in which words are zero, because positions alone are there.
    """
    weight = model.get_input_embeddings().weight  # type: ignore[operator]
    weight[:, :positions] = 0.0
    dimensions = min(weight.shape[1] - positions, states.dimensions)
    means, counts = mean_states(tokens, states, len(weight), dimensions)
    known = counts > 0
    scale = spread / means[known].square().mean(1).sqrt().mean()
    weight[known, positions : positions + dimensions] = means[known] * scale
    mapping = getattr(getattr(encoder_of(model), "encoder", None), "embedding_hidden_mapping_in", None)
    if mapping is not None:
        nn.init.eye_(mapping.weight)
    return int(known.sum())
