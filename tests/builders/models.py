"""What the tests of models share."""

from __future__ import annotations

from typing import Any

import torch

from ligero.models.architectures import model_class
from ligero.models.build import count_parameters
from ligero.settings.models import Architecture


def small_architecture(kind: str, layers: int = 4, **changes: Any) -> Architecture:
    """The shape of a model that is built and run in no time."""
    shape = {
        "hidden_size": 16,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "embedding_size": 8 if kind == "albert" else None,
        "max_position_embeddings": 34,
        "type_vocab_size": 1 if kind == "roberta" else 2,
    }
    return Architecture(type=kind, **{**shape, **changes})  # type: ignore[arg-type]


def parameter_counts(config: Any, num_labels: int = 3) -> dict[str, int]:
    """Parameters without building any: of the encoder (with pooler where it has one) and of a classifier on it."""
    counts = {}
    names = {index: f"LABEL_{index}" for index in range(num_labels)}
    sized = type(config).from_dict(
        {**config.to_dict(), "id2label": names, "label2id": {name: index for index, name in names.items()}}
    )
    for head in ("encoder", "sequence_classification"):
        with torch.device("meta"):
            counts[head] = count_parameters(model_class(config.model_type, head)(sized))
    return counts
