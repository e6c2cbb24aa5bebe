"""Locks on files: held until they are left or the process ends, however it ends."""

from __future__ import annotations

import fcntl
from pathlib import Path


class Claim:
    """An exclusive lock (flock) on a file, which is made where it is missing. Linux makes it hold between machines over NFS too.

    Raises:
        OSError: the file cannot be opened, or its file system knows no locks.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._handle = path.open("a")

    def try_take(self) -> bool:
        """Take it, or say that somebody else holds it."""
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._handle.close()
            return False
        return True

    def take(self) -> Claim:
        """Wait until nobody else holds it."""
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        return self

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, *exception: object) -> None:
        self._handle.close()
