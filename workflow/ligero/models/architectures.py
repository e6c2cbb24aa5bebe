"""Where transformers keeps the classes of each architecture. Concrete files are imported: AutoModel costs 3 s more."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ligero.common.errors import ConfigurationError, DataError
from ligero.common.files import read_json


@dataclass(frozen=True)
class Family:
    """The names one architecture uses in transformers."""

    prefix: str
    """Start of its class names."""
    encoder: str
    """Attribute of the task models that holds the encoder, and prefix of its weights."""
    layers: str | None
    """Prefix of the numbered layers' weights inside the encoder; None where all layers share one."""
    layers_key: str
    """Name of the number of layers in its configuration."""
    dropout_keys: tuple[str, str] = ("hidden_dropout_prob", "attention_probs_dropout_prob")
    """Names of the dropout of hidden states and of attention there."""


FAMILIES = {
    "albert": Family("Albert", "albert", None, "num_hidden_layers"),
    "bert": Family("Bert", "bert", "encoder.layer.", "num_hidden_layers"),
    "roberta": Family("Roberta", "roberta", "encoder.layer.", "num_hidden_layers"),
    "distilbert": Family(
        "DistilBert", "distilbert", "transformer.layer.", "n_layers", ("dropout", "attention_dropout")
    ),
}

HEADS = {
    "pretraining": "ForPreTraining",
    "masked_lm": "ForMaskedLM",
    "sequence_classification": "ForSequenceClassification",
    "token_classification": "ForTokenClassification",
    "question_answering": "ForQuestionAnswering",
    "encoder": "Model",
}


def family_of(model_type: str) -> Family:
    """The family of `model_type`.

    Raises:
        ConfigurationError: an architecture that this project does not know.
    """
    if model_type not in FAMILIES:
        raise ConfigurationError(
            f"architecture '{model_type}': known are {', '.join(FAMILIES)}; add it to ligero/models/architectures.py"
        )
    return FAMILIES[model_type]


@cache
def config_class(model_type: str) -> Any:
    """The configuration class of an architecture, e.g. AlbertConfig."""
    prefix = family_of(model_type).prefix
    module = importlib.import_module(f"transformers.models.{model_type}.configuration_{model_type}")
    return getattr(module, f"{prefix}Config")


@cache
def model_class(model_type: str, head: str) -> Any:
    """The model class of an architecture with a head of HEADS, e.g. AlbertForSequenceClassification."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # one bar per load; hundreds of trials load
    logging.set_verbosity_error()  # its report of missing and unexpected keys is our callers' to judge
    prefix = family_of(model_type).prefix
    module = importlib.import_module(f"transformers.models.{model_type}.modeling_{model_type}")
    return getattr(module, f"{prefix}{HEADS[head]}")


def read_config(folder: Path) -> Any:
    """The configuration of a model folder, as its concrete class, with attention by torch's fused kernels.

    Weights are fp32 whatever a checkpoint was stored in: how they are computed with is the option `precision`.

    Raises:
        DataError: no config.json, or an architecture that this project does not know.
    """
    path = Path(folder) / "config.json"
    values = read_json(path)
    model_type = values.get("model_type") if isinstance(values, dict) else None
    if model_type not in FAMILIES:
        raise DataError(path, None, f"model_type is {model_type!r}, expected one of {', '.join(FAMILIES)}.")
    from huggingface_hub.errors import StrictDataclassError

    try:
        config = config_class(model_type).from_dict(values, attn_implementation="sdpa")
    except (TypeError, ValueError, StrictDataclassError) as error:
        raise DataError(path, None, f"not a configuration of {model_type}: {error}.") from error
    config.dtype = torch.float32
    return config


def encoder_of(model: nn.Module) -> nn.Module:
    """The encoder inside a model with any head."""
    encoder = getattr(model, family_of(model.config.model_type).encoder)  # type: ignore[union-attr, arg-type]
    assert isinstance(encoder, nn.Module)
    return encoder


def model_inputs(
    config: Any,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor | None,
    token_type_ids: torch.Tensor | None,
) -> dict[str, torch.Tensor]:
    """Keyword arguments of a forward pass: only what the architecture knows.

    DistilBERT has no token types; RoBERTa has a single one, and an id of 1 would be out of range. No attention mask
    (nothing is padded) lets attention take its fastest kernel.
    """
    inputs = {"input_ids": input_ids}
    if attention_mask is not None:
        inputs["attention_mask"] = attention_mask
    if token_type_ids is not None and getattr(config, "type_vocab_size", 0) > 1:
        inputs["token_type_ids"] = token_type_ids
    return inputs
