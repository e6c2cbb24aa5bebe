"""The weights of others: from the hub or a folder, old formats converted, into a checked folder of safetensors."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from ligero.common.errors import ConfigurationError, DataError
from ligero.common.files import atomic_directory, read_json, write_json
from ligero.models.architectures import FAMILIES, read_config
from ligero.models.build import make_config
from ligero.models.heads import read_weights
from ligero.models.hub import OLD_FORMAT, WANTED, fetch_from_hub
from ligero.settings.jobs import WeightsJob
from ligero.sources.checksums import SourcesLock
from ligero.tokenizers.export import export_encoder

COMPARED = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "embedding_size",
    "max_position_embeddings",
)
"""Keys of an architecture that a checkpoint must share, since the tables count parameters and MACs by them."""
OTHER_NAMES = {("distilbert", "intermediate_size"): "hidden_dim"}
"""Where transformers has no attribute of that name; the rest of DistilBERT's names it maps itself."""


def prepare_weights(job: WeightsJob, out: Path, hub_cache: Path, lock: SourcesLock) -> dict[str, Any]:
    """Make `out` the weights folder of a model of others; returns where it came from (also in source.json).

    Raises:
        HubError: the hub has it under none of its names, or there is no network.
        ChecksumError: the hub's files are not those that the lock file recorded at the first download.
        DataError: the folder is no model that this project can load.
        ConfigurationError: it is a model of another architecture than configured.
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
        folder, source = Path(job.local).expanduser(), {"folder": str(job.local)}
        if not folder.is_dir():
            raise DataError(
                folder, None, "no such folder.", f"Check models.{job.model_id}.local in the configuration."
            )
    with atomic_directory(out) as staging:
        for pattern in WANTED:
            for path in folder.glob(pattern):
                shutil.copyfile(path, staging / path.name)
        (staging / "fast_tokenizer.json").unlink(missing_ok=True)
        if not list(staging.glob("model*.safetensors")):
            convert_old_weights(folder / OLD_FORMAT, staging / "model.safetensors")
        _check(staging)
        _compare(job, staging)
        info = export_encoder(staging, lower_case=job.lower_case, setting=f"models.{job.model_id}.lower_case")
        if info.mended:
            source = {**source, "mended": info.mended}
        write_json(staging / "source.json", source)
    return source


def convert_old_weights(source: Path, target: Path) -> None:
    """Turn a `pytorch_model.bin` into safetensors; only tensors are read from it, never code.

    Names of TensorFlow times (`LayerNorm.gamma` and `.beta`) become today's. Tied tensors are written once a name.

    Raises:
        DataError: no such file, or something else than a dictionary of tensors.
    """
    from safetensors.torch import save_file

    if not source.is_file():
        raise DataError(source.parent, None, f"neither model.safetensors nor {source.name} is here.")
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


def _check(folder: Path) -> None:
    """Refuse at once what the heads could not load later."""
    path = folder / "config.json"
    model_type = read_json(path).get("model_type")
    if model_type not in FAMILIES:
        raise DataError(path, None, f"model_type is {model_type!r}, expected one of {', '.join(FAMILIES)}.")
    weights = read_weights(folder)
    broken = [
        name for name, value in weights.items() if value.is_floating_point() and not value.isfinite().all()
    ]
    if broken:
        raise DataError(folder, None, f"weights that are not finite: {', '.join(broken[:5])}.")


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
            if key != "embedding_size" or configured.type == "albert"
        }
        if configured.vocab_size not in (None, found.vocab_size):  # a row or two of padding: no other model
            print(
                f"models.{job.model_id}.architecture.vocab_size: configured {configured.vocab_size}, the checkpoint has "
                f"{found.vocab_size}; the tables count parameters by the configured number",
                file=sys.stderr,
            )
    problems = [
        f"models.{job.model_id}.architecture.{key}: configured {ours}, the checkpoint has {theirs}; write {key}: {theirs}"
        for key, (ours, theirs) in pairs.items()
        if ours != theirs
    ]
    if problems:
        raise ConfigurationError("\n".join(problems))
