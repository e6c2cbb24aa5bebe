"""From the numbers of an architecture to a transformers configuration and a freshly initialised model."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import nn

from ligero.models.architectures import config_class, family_of, model_class
from ligero.models.initial_attention import attend_to_neighbours
from ligero.settings.models import Architecture


def make_config(architecture: Architecture, vocabulary_size: int, pad_token_id: int = 0) -> Any:
    """The configuration (AlbertConfig, BertConfig, ...) of an architecture.

    Args:
        architecture: the settings; a `vocab_size` there wins over `vocabulary_size`.
        vocabulary_size: number of tokens of the model's vocabulary.
        pad_token_id: RoBERTa also counts its positions from this id on.
    """
    a = architecture
    values: dict[str, str | int | float | None] = {
        "vocab_size": a.vocab_size or vocabulary_size,
        "max_position_embeddings": a.max_position_embeddings,
        "pad_token_id": pad_token_id,
        "bos_token_id": None,
        "eos_token_id": None,
        "attn_implementation": "sdpa",
    }
    if a.type == "distilbert":
        values |= {
            "dim": a.hidden_size,
            "hidden_dim": a.intermediate_size,
            "n_layers": a.num_hidden_layers,
            "n_heads": a.num_attention_heads,
        }
        activation = "activation"
    else:
        values |= {
            "hidden_size": a.hidden_size,
            "intermediate_size": a.intermediate_size,
            "num_hidden_layers": a.num_hidden_layers,
            "num_attention_heads": a.num_attention_heads,
            "type_vocab_size": a.type_vocab_size,
        }
        activation = "hidden_act"
    if a.type == "albert" and a.embedding_size is not None:
        values["embedding_size"] = a.embedding_size
    if a.hidden_act is not None:
        values[activation] = a.hidden_act
    if a.dropout is not None:
        values |= dict.fromkeys(family_of(a.type).dropout_keys, a.dropout)
    return config_class(a.type)(**values)


def shape_of(config: Any) -> Architecture:
    """The architecture of a configuration: what `make_config` makes it of, but for activation and dropout."""
    known = config.to_dict()
    return Architecture(
        type=known["model_type"],
        vocab_size=known["vocab_size"],
        hidden_size=config.hidden_size,
        num_hidden_layers=config.num_hidden_layers,
        num_attention_heads=config.num_attention_heads,
        intermediate_size=known.get("hidden_dim") or known["intermediate_size"],
        embedding_size=known.get("embedding_size") if known["model_type"] == "albert" else None,
        max_position_embeddings=known["max_position_embeddings"],
        type_vocab_size=known.get("type_vocab_size", 2),
    )


def build_for_pretraining(
    config: Any,
    objective: Literal["mlm_sop", "mlm"] | None = None,
    seed: int = 42,
    embedding_initializer_range: float | None = None,
    initial_attention: Literal["spread", "neighbours"] = "spread",
) -> nn.Module:
    """A model with pretraining heads, initialised from `seed` as transformers does.

    `objective` None takes the architecture's own: masked language modelling with sentence order for ALBERT
    (AlbertForPreTraining), masked language modelling alone elsewhere (...ForMaskedLM).
    `embedding_initializer_range` draws the word embeddings anew with that standard deviation, padding staying zero:
    beside position embeddings of the same size, a narrow model hardly sees which words surround a mask.
    `initial_attention` "neighbours": see `ligero.models.initial_attention`.
    """
    objective = objective or ("mlm_sop" if config.model_type == "albert" else "mlm")
    head = "pretraining" if objective == "mlm_sop" else "masked_lm"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = model_class(config.model_type, head)(config)
        if embedding_initializer_range is not None:
            embeddings = model.get_input_embeddings()
            nn.init.normal_(embeddings.weight, std=embedding_initializer_range)
            if embeddings.padding_idx is not None:
                nn.init.zeros_(embeddings.weight[embeddings.padding_idx])
        if initial_attention == "neighbours":
            attend_to_neighbours(model, embedding_initializer_range or config.initializer_range)
    assert isinstance(model, nn.Module)
    return model


def count_parameters(model: nn.Module | None) -> int:
    """Number of parameters, shared ones counted once; of None 0."""
    return sum(parameter.numel() for parameter in model.parameters()) if model is not None else 0


def with_layers(config: Any, num_hidden_layers: int | None) -> Any:
    """A copy of `config` with another number of layers; None leaves it as it is."""
    changed = type(config).from_dict(config.to_dict(), attn_implementation="sdpa")
    if num_hidden_layers is not None:
        setattr(changed, family_of(config.model_type).layers_key, num_hidden_layers)
    return changed
