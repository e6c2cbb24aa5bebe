"""Encoders with task heads: loaded from pretrained weights, from a selected model, and saved as a folder for users."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ligero.common.errors import DataError, MismatchError
from ligero.common.files import atomic_directory, read_json, write_json
from ligero.models.architectures import family_of, model_class, read_config
from ligero.models.build import with_layers
from ligero.models.digests import SELECTED_REMEDY, check_weights, write_weights_digest
from ligero.models.fused_activations import use_fused_activations
from ligero.models.students import cut_layers, kept_layers
from ligero.models.weights import TASK_HEADS, listed, read_weights, without_task_head
from ligero.settings.distillation import InitialLayers
from ligero.settings.models import usable_positions
from ligero.settings.tasks import TaskType
from ligero.tokenizers.fast_tokenizer import INFO_FILE, TOKENIZER_FILES, TokenizerInfo

# Weights of pretraining heads, which a task head replaces; a pooler is dropped where the task's class has none.
_PRETRAINING_HEADS = ("predictions.", "sop_classifier.", "cls.", "lm_head.", "vocab_")


def load_for_task(
    weights: Path,
    task_type: TaskType,
    labels: Sequence[str],
    num_hidden_layers: int | None = None,
    seed: int = 42,
    initial_layers: InitialLayers = "spread",
) -> nn.Module:
    """An encoder with pretrained weights and a new task head, initialised from `seed`, in training mode.

    The head of a checkpoint that was fine-tuned before is never taken, whether its size fits or not.

    Args:
        weights: model folder (config.json, model*.safetensors).
        task_type: which head.
        labels: label names in the order of their ids; ignored for question answering.
        num_hidden_layers: cut to this many layers (see ligero.models.students); None keeps all.
        initial_layers: which layers a cut keeps.

    Raises:
        MismatchError: an encoder weight is missing, has another shape, or one has no place in the model. A pooler
            may be missing (masked language models and E5 have none): it is then initialised, and listed with the head
            under `initialized_weights` in the configuration.
    """
    weights = Path(weights)
    stored = read_config(weights)
    config = with_layers(stored, num_hidden_layers)
    _set_labels(config, task_type, labels)
    tensors = without_task_head(read_weights(weights))
    if num_hidden_layers is not None:
        layers_key = family_of(config.model_type).layers_key
        kept = kept_layers(getattr(stored, layers_key), num_hidden_layers, initial_layers)
        tensors = cut_layers(tensors, config.model_type, kept)
    model, missing, unexpected = _load(weights, config, task_type, tensors, seed)
    absent = sorted(key for key in missing if not _may_be_missing(key))
    extra = sorted(key for key in unexpected if not _may_be_left_over(key))
    if absent or extra:
        raise MismatchError(
            f"{weights}: its weights do not fit {type(model).__name__}"
            + (f"; missing: {listed(absent)}" if absent else "")
            + (f"; without a place: {listed(extra)}" if extra else "")
            + ". Check model_type and num_hidden_layers in its config.json."
        )
    model.config.initialized_weights = sorted(missing)  # type: ignore[union-attr]
    return model


def load_encoder(weights: Path, num_hidden_layers: int) -> nn.Module:
    """The first layers of a pretrained encoder, without any head, in evaluation mode: a teacher whose hidden states are read.

    Args:
        num_hidden_layers: how many; 0 leaves the embeddings.

    Raises:
        MismatchError: the folder has fewer layers, or a weight is missing or of another shape.
    """
    stored = read_config(weights)
    depth = getattr(stored, family_of(stored.model_type).layers_key)
    if num_hidden_layers > depth:
        raise MismatchError(f"{weights}: has {depth} layers; layer {num_hidden_layers} is asked for")
    config = with_layers(stored, max(num_hidden_layers, 1))
    tensors = without_task_head(read_weights(weights))
    kept = list(range(max(num_hidden_layers, 1)))
    model, missing, _ = _load(
        weights, config, "encoder", cut_layers(tensors, config.model_type, kept), seed=0
    )
    if absent := sorted(name for name in missing if "pooler." not in name):
        raise MismatchError(f"{weights}: weights of its encoder are missing: {listed(absent)}")
    return model.eval()


def load_selected(folder: Path, task_type: TaskType) -> nn.Module:
    """A model saved by `save_for_task`, every key matched, in evaluation mode.

    Raises:
        DamagedError: it is missing, or its weights are not what was written.
        MismatchError: a weight is missing, superfluous or of another shape.
    """
    folder = Path(folder)
    check_weights(folder, SELECTED_REMEDY)
    config, tensors = read_config(folder), read_weights(folder)
    model, missing, unexpected = _load(folder, config, task_type, tensors, 0)
    if missing or unexpected:
        raise MismatchError(
            f"{folder}: not a saved {type(model).__name__}: missing {listed(sorted(missing))}; "
            f"superfluous {listed(sorted(unexpected))}"
        )
    return model.eval()


def save_for_task(
    model: nn.Module, folder: Path, labels: Sequence[str], encoder_source: Path | None = None
) -> None:
    """Write a folder that AutoModelFor....from_pretrained opens, with label names, tokenizer and weights.digest, atomically.

    Args:
        labels: label names in the order of their ids; empty for question answering.
        encoder_source: folder whose tokenizer files and fast_tokenizer.json are copied; the copy's configuration says what
            this model can read.
    """
    if labels:
        _set_labels(model.config, "sequence_classification", labels)
    with atomic_directory(folder) as staging:
        model.save_pretrained(staging)  # type: ignore[operator]
        if encoder_source is not None:
            copy_tokenizer(encoder_source, staging)
            _fit_tokenizer(staging, model.config)
        write_weights_digest(staging)


def longest_input(config: Any) -> int:
    """Tokens that a model can read, special ones included, by its transformers configuration."""
    return usable_positions(config.model_type, config.max_position_embeddings, config.pad_token_id or 0)


def _fit_tokenizer(folder: Path, config: Any) -> None:
    """Let AutoTokenizer truncate to what the model can read, and give it the inputs that it was trained with.

    A tokenizer of others often names no length, one trained here a vocabulary's and not a model's; AlbertTokenizer
    leaves segment ids out, and a BertTokenizer gives them to DistilBERT, which has none.
    """
    path = folder / "tokenizer_config.json"
    values = read_json(path) if path.exists() else {}
    limit = longest_input(config)
    values["model_max_length"] = min(values.get("model_max_length") or limit, limit)
    segments = ["token_type_ids"] if getattr(config, "type_vocab_size", 0) > 1 else []
    values["model_input_names"] = ["input_ids", *segments, "attention_mask"]
    write_json(path, values)
    TokenizerInfo.read(folder).write(folder)


def copy_tokenizer(source: Path, target: Path) -> list[str]:
    """Copy the tokenizer's files of one folder into another; returns their names.

    Raises:
        DamagedError: a file is not what was written.
    """
    TokenizerInfo.read(source).check(source)
    names = [name for name in (*TOKENIZER_FILES, INFO_FILE, "NOTICE") if (source / name).is_file()]
    for name in names:
        shutil.copyfile(source / name, target / name)
    return names


def _load(
    folder: Path, config: Any, task_type: str, tensors: dict[str, torch.Tensor], seed: int
) -> tuple[nn.Module, set[str], set[str]]:
    """Model in fp32, missing keys, unexpected keys; new weights come from `seed` without touching the global generator.

    Raises:
        DataError: no model can be made of config.json.
        MismatchError: a weight has another shape than config.json gives it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        cls = model_class(config.model_type, task_type)
        try:
            model, report = cls.from_pretrained(
                None,
                config=config,
                state_dict=tensors,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                attn_implementation="sdpa",
                dtype=torch.float32,
            )
        except (KeyError, ValueError, AssertionError) as error:
            raise DataError(
                folder / "config.json",
                None,
                f"no model can be made of it: {error!r}.",
                "Use the one that the weights were saved with.",
            ) from error
    if differing := sorted(
        f"{name} is {list(stored)}, its config.json makes it {list(wanted)}"
        for name, stored, wanted in report["mismatched_keys"]
    ):
        raise MismatchError(
            f"{folder}: weights and config.json do not belong together: {listed(differing)}. "
            "Use the config.json that the weights were saved with."
        )
    return use_fused_activations(model).train(), set(report["missing_keys"]), set(report["unexpected_keys"])


def _set_labels(config: Any, task_type: TaskType, labels: Sequence[str]) -> None:
    if task_type == "question_answering":
        config.num_labels = 2  # start and end
        return
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: index for index, label in enumerate(labels)}
    config.problem_type = "single_label_classification" if task_type == "sequence_classification" else None


def _may_be_missing(key: str) -> bool:
    return key.startswith(TASK_HEADS) or ".pooler." in key


def _may_be_left_over(key: str) -> bool:
    return key.startswith(_PRETRAINING_HEADS) or "pooler." in key or key.endswith("position_ids")
