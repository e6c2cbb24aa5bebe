"""The metrics file: JSON lines, cut back to the checkpoint when a run resumes, so that no step stands in it twice."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ligero.pretraining.tensorboard import TensorBoard


class MetricsFile:
    """Appends one JSON object a line. `position` goes into checkpoints, `rewind` returns to it.

    Args:
        path: the file, or None to write nothing (other processes than the first).
        tensorboard: also write TensorBoard events, to the folder `tensorboard` beside the file.
    """

    def __init__(self, path: Path | None, tensorboard: bool = False) -> None:
        self.path = path
        self.events: TensorBoard | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = path.open("ab")
            if tensorboard:
                self.events = TensorBoard(path.parent / "tensorboard")

    def write(self, **values: Any) -> None:
        if self.path is not None:
            self._handle.write(json.dumps(values).encode() + b"\n")
            self._handle.flush()
            if self.events is not None and values.get("event") == "rollback":
                self.events.rewrite(read_metrics(self.path))
            elif self.events is not None:
                self.events.write(values)

    @property
    def position(self) -> int:
        """Bytes written, all of them on disk."""
        if self.path is None:
            return 0
        os.fsync(self._handle.fileno())
        return self._handle.seek(0, os.SEEK_END)

    def rewind(self, position: int) -> None:
        """Forget what was written after `position`."""
        if self.path is not None:
            self._handle.truncate(position)
            self._handle.seek(0, os.SEEK_END)
            if self.events is not None:
                self.events.rewrite(read_metrics(self.path))

    def close(self) -> None:
        if self.path is not None:
            self._handle.close()
        if self.events is not None:
            self.events.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """All lines of a metrics file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
