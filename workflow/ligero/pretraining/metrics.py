"""The metrics file: JSON lines, cut back to the checkpoint when a run resumes, so that no step stands in it twice."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


class MetricsFile:
    """Appends one JSON object a line. `position` goes into checkpoints, `rewind` returns to it.

    Args:
        path: the file, or None to write nothing (other processes than the first).
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = path.open("ab")

    def write(self, **values: Any) -> None:
        if self.path is not None:
            self._handle.write(json.dumps(values).encode() + b"\n")
            self._handle.flush()

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

    def close(self) -> None:
        if self.path is not None:
            self._handle.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """All lines of a metrics file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
