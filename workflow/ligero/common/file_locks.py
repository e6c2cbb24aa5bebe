"""Locks on files (filelock): held until they are released or the process ends, however it ends."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ligero.common.errors import LigeroError

PATIENCE = 120.0
"""Seconds: a run that was stopped still writes its checkpoint, and a network file system takes a while to miss a dead node."""
_SILENCE = 0.2
"""Seconds of waiting before it is mentioned."""


class InUseError(LigeroError):
    """Another process works in this folder."""


def file_lock(path: Path) -> FileLock:
    """An exclusive lock on a file, which is created where it is missing; with `with` it waits for as long as it takes.

    Linux makes it hold between machines over NFS too.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path, fallback_to_soft=False)


def is_held(path: Path) -> bool:
    """Whether a process holds the lock on a file, which is only read: this works in a folder that cannot be written."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


@contextmanager
def only_process(folder: Path, label: str) -> Iterator[None]:
    """Own the state `folder` until the block ends; where its file system has no locks, warn and continue.

    Args:
        label: who wants it, at the start of messages.

    Raises:
        InUseError: another process has owned it for `PATIENCE` seconds.
    """
    lock = file_lock(folder / "run.lock")
    try:
        try:
            lock.acquire(timeout=min(_SILENCE, PATIENCE))
        except Timeout:
            print(f"{label}: waiting for another process that works in {folder}", file=sys.stderr)
            lock.acquire(timeout=PATIENCE)
    except Timeout as error:
        raise InUseError(
            f"{label}: another process works in {folder} (it holds run.lock). Wait for it or end it (squeue, scancel; ps on this "
            "machine), then start again to continue from its last checkpoint."
        ) from error
    except OSError as error:
        print(
            f"{label}: {folder} cannot be locked ({error}); make sure that no other process uses it",
            file=sys.stderr,
        )
    try:
        yield
    finally:
        lock.release()
