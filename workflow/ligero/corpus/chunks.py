"""A readable stream over bytes that come in pieces of any size."""

from __future__ import annotations

import io
from abc import abstractmethod


class PieceReader(io.RawIOBase):
    """Gives out the pieces of `_next_piece` in the sizes that are asked for."""

    def __init__(self) -> None:
        self._piece = memoryview(b"")

    @abstractmethod
    def _next_piece(self) -> bytes:
        """What comes next; nothing at the end."""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        taken = []
        wanted = size if size >= 0 else float("inf")
        while wanted > 0:
            if not self._piece:
                self._piece = memoryview(self._next_piece())
                if not self._piece:
                    break
            part = self._piece if len(self._piece) <= wanted else self._piece[: int(wanted)]
            self._piece = self._piece[len(part) :]
            taken.append(part)
            wanted -= len(part)
        return b"".join(taken)
