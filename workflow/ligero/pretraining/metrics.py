"""The metrics file: JSON lines, cut back to the checkpoint when a run resumes, so that no step stands in it twice."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ligero.pretraining.tensorboard import TensorBoard
from ligero.training.checkpoints import CheckpointError


class MetricsFile:
    """Appends one JSON object a line. `position` goes into checkpoints, `rewind` returns to it.

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
        if self.path is not None:
            line = json.dumps(values).encode() + b"\n"
            with self._readable():
                if self._handle.write(line) != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                if self.events is not None and values.get("event") == "rollback":
                    self.events.rewrite(read_metrics(self.path))
                elif self.events is not None:
                    self.events.write(values)

    @property
    def position(self) -> int:
        """Bytes written, all of them on disk."""
        if self.path is None:
            return 0
        with self._readable():
            os.fsync(self._handle.fileno())
            return self._handle.seek(0, os.SEEK_END)

    def rewind(self, position: int) -> None:
        """Forget what was written after `position`."""
        if self.path is not None:
            with self._readable():
                self._handle.truncate(position)
                self._handle.seek(0, os.SEEK_END)
                if self.events is not None:
                    self.events.rewrite(read_metrics(self.path))

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CheckpointError(
                f"{self.path}: the metrics could not be written ({error}). Make room and start again to continue from the last "
                "checkpoint."
            ) from error

    def close(self) -> None:
        if self.path is not None:
            with self._readable():
                self._handle.close()
                if self.events is not None:
                    self.events.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """All lines of a metrics file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
