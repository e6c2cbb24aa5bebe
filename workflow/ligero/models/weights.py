"""The tensors of a model folder: which files hold them, and that they are all there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch

from ligero.common.errors import DataError
from ligero.common.files import read_json
from ligero.common.text import LFS_POINTER, refuse_lfs_pointer
from ligero.sources.archives import safe_member

TASK_HEADS = ("classifier.", "pre_classifier.", "qa_outputs.", "score.")
"""Names of the weights that a task head has, in the four architectures and in what was made of them."""

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    """The tensors of a model folder, from safetensors only; floating-point ones in fp32, whatever they were stored in.

    Raises:
        DataError: no safetensors file, a shard missing, or a file that cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    weights: dict[str, torch.Tensor] = {}
    for file in weight_files(Path(folder)):
        with file.open("rb") as handle:
            refuse_lfs_pointer(file, handle.read(len(LFS_POINTER)))
        try:
            weights |= load_file(file)
        except (SafetensorError, OSError) as error:
            raise DataError(
                file,
                None,
                f"not a readable safetensors file ({file.stat().st_size:,} bytes): {error}.",
                "It is truncated or damaged: download or copy it again.",
            ) from error
    return {name: value.float() if value.is_floating_point() else value for name, value in weights.items()}


def weight_files(folder: Path) -> list[Path]:
    """The safetensors of a model folder: model.safetensors, or else the shards that its index names.

    Raises:
        DataError: neither, or a shard that the index names is missing.
    """
    index = folder / INDEX
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    if not index.is_file():
        raise DataError(
            folder,
            None,
            f"no {SINGLE}.",
            "Convert old weights with workflow/scripts/prepare_weights.py.",
        )
    values = read_json(index)
    placed = values.get("weight_map") if isinstance(values, dict) else None
    if not isinstance(placed, dict) or not placed:
        raise DataError(index, None, "expected a JSON object with the key 'weight_map': weight to file.")
    shards = sorted({str(name) for name in placed.values()})
    missing = [name for name in shards if not safe_member(name) or not (folder / name).is_file()]
    if missing:
        raise DataError(
            index,
            None,
            f"names {len(shards)} files of weights, of which {len(missing)} are not here: {listed(missing)}.",
            "Download or copy the missing ones.",
        )
    return [folder / name for name in shards]


def without_task_head(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights without the head of a task that the checkpoint was fine-tuned on."""
    return {name: value for name, value in weights.items() if not name.startswith(TASK_HEADS)}


def listed(names: Iterable[str]) -> str:
    """Names in a message, the first few of many."""
    names = list(names)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") or "none"
