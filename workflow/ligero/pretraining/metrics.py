"""The metrics file: JSON lines, cut back to the checkpoint when a run resumes, so that no step is in it twice."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

from ligero.common.hashing import digest_file
from ligero.common.records import DamagedError
from ligero.pretraining.records import MetricsLine, read_metrics
from ligero.pretraining.tensorboard import TensorBoard
from ligero.training.checkpoints import CheckpointError


class Position(NamedTuple):
    """A place in the metrics file, and the digest of everything before it."""

    bytes: int
    digest: str


class MetricsFile:
    """Appends one JSON object per line. `position` is saved in checkpoints; `rewind` returns to it.

    Raises:
        CheckpointError: by every method, when the file cannot be written.

    Args:
        path: the file, or None to write nothing (other processes than the first).
        tensorboard: also write TensorBoard events, to the folder `tensorboard` beside the file.
    """

    def __init__(self, path: Path | None, tensorboard: bool = False) -> None:
        self.path = path
        self.events: TensorBoard | None = None
        if path is not None:
            with self._readable():
                path.parent.mkdir(parents=True, exist_ok=True)
                self._handle = path.open("ab", buffering=0)
                if tensorboard:
                    self.events = TensorBoard(path.parent / "tensorboard")

    def write(self, **values: Any) -> None:
        """Append a line; its keys are those of MetricsLine."""
        if self.path is not None:
            line = json.dumps(values).encode() + b"\n"
            with self._readable():
                if self._handle.write(line) != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                if self.events is not None and values.get("event") == "rollback":
                    self.events.rewrite(read_metrics(self.path))
                elif self.events is not None:
                    self.events.write(cast(MetricsLine, values))

    def position(self) -> Position:
        """How much was written, all of it on disk."""
        if self.path is None:
            return Position(0, "")
        with self._readable():
            os.fsync(self._handle.fileno())
            return Position(self._handle.seek(0, os.SEEK_END), digest_file(self.path))

    def rewind(self, position: Position) -> None:
        """Forget what was written after `position`.

        Raises:
            DamagedError: what was written before it has changed. A file that was deleted starts anew.
        """
        if self.path is None:
            return
        with self._readable():
            size = self._handle.seek(0, os.SEEK_END)
            if size == 0 < position.bytes:
                print(f"{self.path}: deleted since the last checkpoint; starting a new file", file=sys.stderr)
                return
            self._handle.truncate(min(position.bytes, size))
            self._handle.seek(0, os.SEEK_END)
            if position.bytes and digest_file(self.path) != position.digest:
                problem = "it was changed after the last checkpoint was written."
                raise DamagedError(self.path, None, problem, "Delete it to go on without the history.")
            if self.events is not None:
                self.events.rewrite(read_metrics(self.path))

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CheckpointError(
                f"{self.path}: the metrics could not be written ({error}). Free disk space and start again to continue from the last "
                "checkpoint."
            ) from error

    def close(self) -> None:
        if self.path is not None:
            with self._readable():
                self._handle.close()
                if self.events is not None:
                    self.events.close()
