"""A readable stream over bytes that come in chunks of any size."""

from __future__ import annotations

import io
from abc import abstractmethod


class ChunkReader(io.RawIOBase):
    """Gives out the chunks of `_next_chunk` in the sizes that are asked for."""

    def __init__(self) -> None:
        self._chunk = memoryview(b"")

    @abstractmethod
    def _next_chunk(self) -> bytes:
        """What comes next; nothing at the end."""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        taken = []
        wanted = size if size >= 0 else float("inf")
        while wanted > 0:
            if not self._chunk:
                self._chunk = memoryview(self._next_chunk())
                if not self._chunk:
                    break
            part = self._chunk if len(self._chunk) <= wanted else self._chunk[: int(wanted)]
            self._chunk = self._chunk[len(part) :]
            taken.append(part)
            wanted -= len(part)
        return b"".join(taken)
