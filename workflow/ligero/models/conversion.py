"""The weights of others: from the hub or a folder, old formats converted, into a checked folder of safetensors."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from ligero.common.errors import ConfigurationError, DataError, MismatchError, naming
from ligero.common.files import atomic_directory, read_json, write_json
from ligero.common.text import LFS_POINTER, read_text, refuse_lfs_pointer
from ligero.models.architectures import family_of, read_config
from ligero.models.build import make_config
from ligero.models.heads import load_for_task
from ligero.models.hub import OLD_FORMAT, WANTED, fetch_from_hub
from ligero.models.students import cut_layers, kept_layers
from ligero.models.weights import (
    INDEX,
    SINGLE,
    TASK_HEADS,
    listed,
    read_weights,
    weight_files,
    without_task_head,
)
from ligero.models.weights_source import WeightsSource
from ligero.settings.jobs import WeightsJob
from ligero.sources.checksums import SourcesLock
from ligero.tokenizers.export import export_fast_tokenizer
from ligero.tokenizers.fast_tokenizer import FastTokenizer

COMPARED = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "embedding_size",
    "max_position_embeddings",
    "type_vocab_size",
    "hidden_act",
)
"""Keys of an architecture that a checkpoint must share: the tables count parameters and MACs by them, and it computes by its own."""
OTHER_NAMES = {("distilbert", "intermediate_size"): "hidden_dim", ("distilbert", "hidden_act"): "activation"}
"""Where transformers has no attribute of that name; the rest of DistilBERT's names it maps itself."""


def prepare_weights(job: WeightsJob, out: Path, hub_cache: Path, lock: SourcesLock) -> WeightsSource:
    """Make `out` the weights folder of a model of others; returns where it came from (also in source.json).

    Raises:
        HubError: the hub has it under none of its names, or there is no network.
        ChecksumError: the hub's files are not those that the lock file recorded at the first download.
        DataError: the folder is no model that this project can load.
        ConfigurationError: it is a model of another architecture than configured.
        MismatchError: weights, configuration and tokenizer do not belong together.
        LigeroError: its tokenizer cannot be used as it is, and the message says why.
    """
    if job.weights == "hub":
        assert job.hub is not None
        folder, source = fetch_from_hub(job.hub, hub_cache, lock)
    elif job.local is None:
        raise ConfigurationError(
            f"models.{job.model_id}: weights '{job.weights}' are not prepared but trained"
        )
    else:
        folder, source = Path(job.local), WeightsSource(folder=job.local)
        if not folder.is_dir():
            raise DataError(
                folder, None, "no such folder.", f"Check models.{job.model_id}.local in the configuration."
            )
    _refuse_other_folders(folder)
    with atomic_directory(out) as staging, naming(staging, folder):
        for pattern in WANTED:
            for path in folder.glob(pattern):
                if path.suffix != ".safetensors" and path.name not in (INDEX, "fast_tokenizer.json"):
                    with path.open("rb") as handle:
                        refuse_lfs_pointer(path, handle.read(len(LFS_POINTER)))
                    shutil.copyfile(path, staging / path.name)
        _bring_weights(folder, staging)
        if head := _check(staging):
            source = replace(source, unused_task_head=tuple(head))
            print(
                f"warning: models.{job.model_id}: the checkpoint has the head of a task that it was fine-tuned on ({listed(head)}), "
                "which is not used: every task starts with a new task head, initialised from the seed",
                file=sys.stderr,
            )
        _cut(job, staging)
        _set_dropout(job, staging)
        _compare(job, staging)
        load_for_task(staging, "sequence_classification", ["0", "1"])
        info = export_fast_tokenizer(
            staging, lower_case=job.lower_case, setting=f"models.{job.model_id}.lower_case"
        )
        _compare_vocabulary(job, staging)
        source = replace(source, repaired=tuple(info.repaired))
        source.write(staging)
    return source


def convert_old_weights(source: Path, target: Path) -> None:
    """Turn a `pytorch_model.bin` into safetensors; only tensors are read from it, never code.

    Names of TensorFlow times (`LayerNorm.gamma` and `.beta`) become today's. Tied tensors are written once a name.

    Raises:
        DataError: no such file, or something else than a dictionary of tensors.
    """
    from safetensors.torch import save_file

    if not source.is_file():
        others = [path.name for pattern in _OTHER_WEIGHTS for path in sorted(source.parent.glob(pattern))]
        raise DataError(
            source.parent,
            None,
            f"neither model.safetensors nor {source.name} is here"
            + (f", only {listed(others)}." if others else "."),
            "Save the model again with transformers: model.save_pretrained(FOLDER)." if others else "",
        )
    with source.open("rb") as handle:
        refuse_lfs_pointer(source, handle.read(len(LFS_POINTER)))
    try:
        weights = torch.load(source, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError) as error:
        raise DataError(
            source, None, "holds more than tensors, or is damaged; it is not loaded.", "Fetch it again."
        ) from error
    if not isinstance(weights, dict) or not all(
        isinstance(value, torch.Tensor) for value in weights.values()
    ):
        raise DataError(source, None, "expected a dictionary of tensors.")
    renamed = {
        key.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias"): value
        for key, value in weights.items()
    }
    save_file({key: value.contiguous().clone() for key, value in renamed.items()}, target, {"format": "pt"})


_OTHER_WEIGHTS = ("pytorch_model-*.bin", "tf_model.h5", "flax_model.msgpack", "*.ckpt", "*.gguf", "*.onnx")


def _refuse_other_folders(folder: Path) -> None:
    """Refuse folders that hold something else than a whole model."""
    if (folder / "config.json").is_file():
        if "quantization_config" in (read_json(folder / "config.json") or {}):
            raise DataError(
                folder / "config.json", None, "the weights are quantised; training needs the full ones.",
                "Use the checkpoint that it was made from.",
            )  # fmt: skip
    elif (folder / "adapter_config.json").is_file():
        raise DataError(
            folder, None, "is an adapter (PEFT), not a model.",
            "Merge it into its base model first: merge_and_unload().save_pretrained(FOLDER).",
        )  # fmt: skip
    else:
        raise DataError(
            folder,
            None,
            "no config.json.",
            "Expected a model folder as transformers' save_pretrained writes it.",
        )


def _bring_weights(folder: Path, staging: Path) -> None:
    """The weights as one file of safetensors: copied, put together from shards, or converted from the old format."""
    from safetensors.torch import save_file

    if not (folder / SINGLE).is_file() and not (folder / INDEX).is_file():
        convert_old_weights(folder / OLD_FORMAT, staging / SINGLE)
    elif weight_files(folder) == [folder / SINGLE]:
        shutil.copyfile(folder / SINGLE, staging / SINGLE)
    else:
        save_file(read_weights(folder), staging / SINGLE, {"format": "pt"})


def _check(folder: Path) -> list[str]:
    """Refuse at once what the heads could not load later; returns the weights of a task head that is not used."""
    weights = read_weights(folder)
    broken = [
        name for name, value in weights.items() if value.is_floating_point() and not value.isfinite().all()
    ]
    if broken:
        raise DataError(
            folder, None, f"weights that are not finite: {listed(broken)}.", "Use another checkpoint."
        )
    encoder = without_task_head(weights)
    matrices = {name: value for name, value in encoder.items() if value.ndim > 1 and len(value) > 2}
    if blank := [name for name, value in matrices.items() if (value == value.flatten()[0]).all()]:
        problem = f"weights that are one value throughout: {listed(blank)}."
        raise DataError(
            folder, None, problem, "They were lost, perhaps in a copy: download or copy it again."
        )
    whole = [
        name
        for name, value in matrices.items()
        if not value.is_floating_point() and "position_ids" not in name
    ]
    if whole:
        problem = f"weights that are whole numbers: {listed(whole)}; training needs the full ones."
        raise DataError(folder, None, problem, "Use the checkpoint that it was quantised from.")
    if getattr(read_config(folder), "is_decoder", False):
        problem = "is_decoder is true: each token of a decoder sees only those before it."
        raise DataError(folder / "config.json", None, problem, "Use an encoder.")
    return sorted(name for name in weights if name.startswith(TASK_HEADS))


def _cut(job: WeightsJob, folder: Path) -> None:
    """Keep the layers that the model is to have of a deeper checkpoint, where it says which."""
    from safetensors.torch import save_file

    config, wanted = read_config(folder), job.architecture.num_hidden_layers
    key = family_of(config.model_type).layers_key
    if job.initial_layers is None or getattr(config, key) <= wanted:
        return
    kept = kept_layers(getattr(config, key), wanted, job.initial_layers)
    save_file(cut_layers(read_weights(folder), config.model_type, kept), folder / SINGLE, {"format": "pt"})
    write_json(folder / "config.json", {**read_json(folder / "config.json"), key: wanted})


def _set_dropout(job: WeightsJob, folder: Path) -> None:
    """Training reads the folder's configuration, so a configured dropout replaces the checkpoint's there."""
    if (dropout := job.architecture.dropout) is not None:
        keys = family_of(job.architecture.type).dropout_keys
        write_json(
            folder / "config.json", {**read_json(folder / "config.json"), **dict.fromkeys(keys, dropout)}
        )


FEWEST_TOKENS = 0.9
"""A vocabulary has at least this share of the embedding's rows; some embeddings are padded to a multiple of 64 or 128."""


def _compare_vocabulary(job: WeightsJob, folder: Path) -> None:
    """Refuse a vocabulary that has more tokens than the model has embeddings, or far fewer, or another one in `vocab.txt`."""
    rows = int(read_config(folder).vocab_size)
    known = FastTokenizer.load(folder).backend.get_vocab(with_added_tokens=True)
    size = max(known.values()) + 1
    if size < FEWEST_TOKENS * rows and rows - size > 128:
        raise MismatchError(
            f"models.{job.model_id}: {folder}: the tokenizer has {size} tokens, the model's embedding {rows} rows. Its vocabulary is "
            "missing, cut short or another model's: use the one that the model was trained with."
        )
    path = folder / "vocab.txt"
    listed_tokens = read_text(path).split("\n") if path.is_file() else []
    for place, token in enumerate(line.rstrip("\r") for line in listed_tokens):
        if token and known.get(token, place) != place and listed_tokens.count(token) == 1:
            raise MismatchError(
                f"models.{job.model_id}: {folder}: token {token!r} is number {place} in vocab.txt and {known[token]} in the tokenizer that "
                "is loaded from here. One of the files is another model's: remove it."
            )
    if size > rows:
        raise MismatchError(
            f"models.{job.model_id}: {folder}: the tokenizer has {size} tokens, the model's embedding {rows} rows: texts with one of "
            f"the last {size - rows} could not be read. Use the tokenizer that the model was trained with, or add the rows and save the "
            f"model again: model.resize_token_embeddings({size})."
        )


def _compare(job: WeightsJob, folder: Path) -> None:
    """Refuse a checkpoint of another architecture than configured: the tables would show numbers of another model."""
    configured, found = job.architecture, read_config(folder)
    pairs: dict[str, tuple[Any, Any]] = {"type": (configured.type, found.model_type)}
    if configured.type == found.model_type:
        wanted = make_config(configured, found.vocab_size)
        names = {key: OTHER_NAMES.get((configured.type, key), key) for key in COMPARED}
        pairs |= {
            key: (getattr(wanted, name), getattr(found, name))
            for key, name in names.items()
            if hasattr(found, name) and (key != "hidden_act" or configured.hidden_act)
        }
        if configured.vocab_size not in (None, found.vocab_size):  # a row or two of padding: no other model
            print(
                f"models.{job.model_id}.architecture.vocab_size: configured {configured.vocab_size}, the checkpoint has "
                f"{found.vocab_size}; the tables count parameters by the configured number",
                file=sys.stderr,
            )
    problems = [
        f"models.{job.model_id}.architecture.{key}: configured {ours}, the checkpoint has {theirs}; "
        + ("leave the key out" if key == "hidden_act" else f"write {key}: {theirs}")
        + (
            f", or models.{job.model_id}.initial_layers: spread to keep {ours} of them"
            if _is_deeper(key, ours, theirs)
            else ""
        )
        for key, (ours, theirs) in pairs.items()
        if ours != theirs
    ]
    if problems:
        raise ConfigurationError("\n".join(problems))


def _is_deeper(key: str, ours: Any, theirs: Any) -> bool:
    return key == "num_hidden_layers" and theirs > ours
