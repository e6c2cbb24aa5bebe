"""A trial's checkpoint: one file, replaced as a whole, worthless to any other trial."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import torch

from ligero.common.files import atomic_path


def save_state(path: Path, determined_by: str, state: dict[str, Any]) -> None:
    """Write a checkpoint atomically; it holds tensors and plain values only."""
    with atomic_path(path) as temporary:
        torch.save({"determined_by": determined_by, **state}, temporary)


def load_state(path: Path, determined_by: str) -> dict[str, Any] | None:
    """The checkpoint, or None where there is none, it belongs to other settings, or it cannot be read (said on stderr)."""
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        print(f"{path}: unreadable checkpoint, the trial starts over ({error})", file=sys.stderr)
        path.unlink(missing_ok=True)
        return None
    if state.pop("determined_by", None) != determined_by:
        path.unlink(missing_ok=True)
        return None
    return state
