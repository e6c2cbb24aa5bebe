"""The model whose cost is measured: a sequence classifier with random weights, built from its architecture alone."""

from __future__ import annotations

import json

import torch
from torch import Tensor, nn

from ligero.models.architectures import model_class
from ligero.models.build import make_config
from ligero.settings.models import Architecture

PAD = {"roberta": 1}
"""Padding id; RoBERTa derives position ids from it. It changes no count and no latency."""
FIRST_ORDINARY_ID = 5
"""Ids below are special tokens in all vocabularies of the study; random ids start here."""


def build_classifier(architecture: Architecture, labels: int) -> nn.Module:
    """A classifier of `labels` classes in evaluation mode; `architecture.vocab_size` must be set."""
    assert architecture.vocab_size is not None
    config = make_config(architecture, architecture.vocab_size, PAD.get(architecture.type, 0))
    config.num_labels = labels
    model: nn.Module = model_class(architecture.type, "sequence_classification")(config)
    return model.eval()


def random_input(vocabulary_size: int, length: int, seed: int = 0) -> Tensor:
    """Random token ids of shape [1, length]."""
    generator = torch.Generator().manual_seed(seed)
    lowest = min(FIRST_ORDINARY_ID, vocabulary_size - 1)
    return torch.randint(lowest, vocabulary_size, (1, length), generator=generator)


def build_without_weights(architecture: Architecture, labels: int) -> nn.Module:
    """The same classifier on torch's meta device: shapes without numbers, so that any size costs neither time nor memory."""
    with torch.device("meta"):
        return build_classifier(architecture, labels)


def safetensors_bytes(model: nn.Module) -> int:
    """Size in bytes of the model's `model.safetensors` in fp32, without writing it.

    The format is an 8-byte length, a JSON header padded to a multiple of 8, and the tensors
    (huggingface/safetensors, "Format"); `save_pretrained` adds the metadata `format: pt`.
    """
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, tensor in sorted(model.state_dict().items()):
        end = offset + 4 * tensor.numel()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    length = len(json.dumps(header, separators=(",", ":")))
    return 8 + (length + 7) // 8 * 8 + offset
