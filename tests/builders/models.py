"""What the tests of models share."""

from __future__ import annotations

from typing import Any

import torch

from ligero.models.architectures import model_class
from ligero.models.build import count_parameters


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
