"""Checkpoints of a running training: written atomically, the last few kept, a damaged one passed over with a warning."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from ligero.common.errors import LigeroError
from ligero.common.files import FullDiskError, atomic_path, read_json, write_json
from ligero.common.hashing import sha256_file

_NAME = re.compile(r"^step-(\d+)\.json$")


class CheckpointError(LigeroError):
    """A checkpoint could not be written; the ones before it are untouched."""


class Checkpoints:
    """The checkpoints of one training run in one folder.

    A checkpoint is two files: `step-N.pt` (a dictionary of tensors and plain values) and, written after it, `step-N.json`
    with its SHA-256. Only a checkpoint whose digest matches is ever loaded. While one is written over another of the same step,
    either content is accepted.

    Args:
        folder: made when the first checkpoint is written.
        keep: how many of the latest stay.
    """

    def __init__(self, folder: Path | str, keep: int = 2) -> None:
        self.folder, self.keep = Path(folder), keep

    def steps(self) -> list[int]:
        """Steps of the checkpoints that are there, in order; not yet verified."""
        found = (_NAME.match(path.name) for path in self.folder.glob("step-*.json"))
        return sorted(int(match[1]) for match in found if match)

    def save(self, step: int, state: Mapping[str, object]) -> None:
        """Write a checkpoint, then remove those beyond the last `keep`, and those of later steps.

        Later ones are damaged or were left behind by a rollback: counted among the last, they would push out the new one.

        Raises:
            CheckpointError: the file could not be written (disk full, no permission); nothing else is changed.
        """
        path = self._path(step)
        try:
            with atomic_path(path) as temporary:
                torch.save(state, temporary)
                described = {"sha256": sha256_file(temporary), "bytes": temporary.stat().st_size}
                if path.with_suffix(".json").exists():
                    write_json(path.with_suffix(".json"), {**described, "replaced": self._digest(step)})
            write_json(path.with_suffix(".json"), described)
        except (FullDiskError, OSError, RuntimeError) as error:  # RuntimeError is torch's own
            raise CheckpointError(
                f"{path}: the checkpoint could not be written ({error}). The last good one is at step "
                f"{max((s for s in self.steps() if s != step), default='none')}; free disk space and start again to continue."
            ) from error
        self.remove_after(step)
        for old in self.steps()[: -self.keep]:
            self._remove(old)

    def load_latest(self, before: int | None = None) -> tuple[int, dict[str, Any]] | None:
        """Step and state of the latest intact checkpoint (below `before`), on the CPU; None where there is none.

        A damaged one is named on standard error and passed over.
        """
        for step in reversed(self.steps()):
            if before is not None and step >= before:
                continue
            path = self._path(step)
            try:
                described = read_json(path.with_suffix(".json"))
                if sha256_file(path) not in (described["sha256"], described.get("replaced")):
                    raise ValueError("its content does not match its SHA-256")
                return step, torch.load(path, map_location="cpu", weights_only=True)
            except (LigeroError, OSError, ValueError, KeyError, RuntimeError, UnpicklingError) as error:
                print(f"{path}: damaged checkpoint passed over ({error})", file=sys.stderr)
        return None

    def tidy(self) -> None:
        """Remove what a process killed while it saved has left behind; only where no other process saves here."""
        complete = {self._path(step) for step in self.steps()}
        for path in [*self.folder.glob(".step-*"), *self.folder.glob("step-*.pt")]:
            if path not in complete:
                path.unlink(missing_ok=True)

    def remove_after(self, step: int) -> None:
        """Remove the checkpoints later than `step`."""
        for later in [found for found in self.steps() if found > step]:
            self._remove(later)

    def clear(self) -> None:
        """Remove all checkpoints: the training has ended."""
        for step in self.steps():
            self._remove(step)

    def _digest(self, step: int) -> str | None:
        """What the content of this step's checkpoint is now; None where it is missing."""
        path = self._path(step)
        return sha256_file(path) if path.exists() else None

    def _path(self, step: int) -> Path:
        return self.folder / f"step-{step:09d}.pt"

    def _remove(self, step: int) -> None:
        self._path(step).with_suffix(".json").unlink(missing_ok=True)
        self._path(step).unlink(missing_ok=True)
