"""The journal of a study, with a lock that dies with its process.

Optuna's own lock is a link beside the file: a worker killed while it holds one keeps all others waiting for half a minute. The
kernel releases this one. A record that a kill or a power cut left half written is cut off before the next is appended, for Optuna
refuses a journal with one in its middle.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock


def open_journal(path: Path) -> JournalStorage:
    """The storage in a file, which is made where there is none."""
    return JournalStorage(JournalFileBackend(str(path), lock_obj=_KernelLock(path)))


class _KernelLock(JournalFileOpenLock):
    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._journal = path
        self._path = path.with_name(path.name + ".flock")
        self._handle: int | None = None

    def acquire(self) -> bool:
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        fcntl.flock(handle, fcntl.LOCK_EX)
        self._handle = handle
        _cut_half_written(self._journal)
        return True

    def release(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)


def _cut_half_written(path: Path) -> None:
    """Drop what follows the last line break."""
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        if size == 0:
            return
        file.seek(size - 1)
        if file.read(1) == b"\n":
            return
        file.seek(0)
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)
