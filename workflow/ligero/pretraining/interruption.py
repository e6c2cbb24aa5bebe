"""SIGTERM and SIGINT as a request to write a checkpoint and end in order."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

IMPATIENCE_SECONDS = 2.0
"""A second Ctrl-C this long after the first one means it; sooner it may be one key press that two programs passed on."""


class Interruption:
    """Whether somebody asked for the end of a run.

    Slurm sends SIGTERM to all processes of a job and torchrun passes its own on, so a worker gets it twice within
    milliseconds: however often it comes, it asks for the same. Who cannot wait has SIGKILL.
    """

    def __init__(self) -> None:
        self.requested = False
        self._first_key: float | None = None

    @contextmanager
    def handling_signals(self) -> Iterator[None]:
        """Within, the two signals ask; a second SIGINT `IMPATIENCE_SECONDS` after the first raises KeyboardInterrupt."""
        try:
            earlier = {number: signal.signal(number, self._ask) for number in (signal.SIGTERM, signal.SIGINT)}
        except ValueError:  # not in the main thread: signals are the caller's
            yield
            return
        try:
            yield
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)

    def _ask(self, number: int, frame: Any) -> None:
        self.requested = True
        if number != signal.SIGINT:
            return
        now = time.monotonic()
        self._first_key = now if self._first_key is None else self._first_key
        if now - self._first_key >= IMPATIENCE_SECONDS:
            raise KeyboardInterrupt
