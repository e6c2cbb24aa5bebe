"""What a run does first: it clears up after one that was killed, as far as that is certain to be dead."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from pathlib import Path

from filelock import FileLock, Timeout

from ligero.common.file_locks import file_lock
from ligero.common.files import remove_temporaries

OWNER = Path(".snakemake", "run.lock")
"""In the working folder. The run that has Snakemake's lock holds this one too, and loses it when it ends, however it ends."""
LOCKS = Path(".snakemake", "locks")
_held: list[FileLock] = []


def begin_run(results: Path) -> None:
    """Hold OWNER until this process ends, and remove what writers that were killed left below the results folder."""
    lock = file_lock(OWNER)
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError):  # a run with --nolock beside another one; a file system without locks
        return
    _held.append(lock)
    OWNER.write_text(f"{socket.gethostname()} {os.getpid()}\n", encoding="utf-8")
    if removed := remove_temporaries(results):
        print(f"removed {removed} unfinished files of jobs that were killed", file=sys.stderr)


def release_dead_lock() -> bool:
    """Remove Snakemake's lock of the working folder if the run that made it was killed; whether it was.

    Snakemake itself cannot know: its lock names files and no process. Left as it is when it was not made by the run that held
    OWNER last, when that ran on another machine, or when it holds OWNER still.
    """
    try:
        locks = list(LOCKS.iterdir())
        if not locks or OWNER.read_text(encoding="utf-8").split()[:1] != [socket.gethostname()]:
            return False
        if max(path.stat().st_mtime_ns for path in locks) > OWNER.stat().st_mtime_ns:
            return False
        lock = file_lock(OWNER)
        with lock.acquire(timeout=0):
            shutil.rmtree(LOCKS)
    except (Timeout, OSError):
        return False
    print("the last run in this folder was killed; its lock is removed", file=sys.stderr)
    return True
