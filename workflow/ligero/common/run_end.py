"""What a run says last: the errors of its failed jobs once more, or how to go on after an interruption."""

from __future__ import annotations

import atexit
import logging
import re
import signal
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from ligero.common.errors import SYSTEM_REMEDIES, system_error
from ligero.common.files import full_disk, is_full

_FAILED_LOG = re.compile(
    r"^Logfile (?P<path>\S+):(?: empty file$|\n=+\n(?P<text>.*?)\n=+$)", re.MULTILINE | re.DOTALL
)
_ERROR = re.compile(r"^error: .*?(?=^error: |\Z)", re.MULTILINE | re.DOTALL)
_KILLED = re.compile(
    r"^Command '.*&> (?P<path>\S+?)'?(?: .*)? (?:returned non-zero exit status (?P<status>\d+)|died with <Signals\.(?P<name>\w+).*>)\.$",
    re.MULTILINE,
)
_OF_SCHEDULER = re.compile(
    r"SLURM status is: '?(?P<status>[A-Z_]+).*?^    log: (?P<path>\S+)", re.MULTILINE | re.DOTALL
)
_OF_SYSTEM = re.compile(r"\[Errno \d+\] (?P<said>[^:\n]+)(?:: '(?P<path>[^'\n]+)'|$)", re.MULTILINE)
_ENDED = re.compile(r"No such file or directory: '([^'\n]+)/\.snakemake/locks/[^'\n]*'")
_OF_DISK = re.compile(r"^\S+: No space left on device: .+$", re.MULTILINE)
_OF_CLOCK = re.compile(
    r"^Output (?P<path>\S+) has older modification time .* than input (?P<input>\S+) \(", re.MULTILINE
)
_OF_LOCK = re.compile(r"Directory cannot be locked\..*\n(?P<folder>.+)")
_INTERRUPTED = "Terminating processes on user request"

GO_ON = "Interrupted. Run the same command to continue: finished jobs are kept, and training resumes from the last checkpoint."
LOCKED = " The folder is still locked: give the command with --unlock once before."

_MEMORY = (
    "for want of memory: run fewer jobs at once (--cores), or raise memory_mb of its kind under 'hardware'"
)
_TIME = (
    "at its time limit, or because somebody cancelled it: raise runtime_minutes of its kind under 'hardware'"
)
_LIKELY = {
    "SIGKILL": _MEMORY,
    "SIGTERM": _TIME,
    "SIGXCPU": _TIME,
    "SIGBUS": "because a disk, or /dev/shm, is full: free space there",
    "SIGSEGV": "by a fault in a library: run the tests of this machine's environment (make check)",
    "SIGILL": "by a library that was built for another processor: set up the environment on this machine",
    "OUT_OF_MEMORY": _MEMORY,
    "TIMEOUT": _TIME,
    "NODE_FAIL": "because its node failed",
}
"""Signal, or status of Slurm's, to what it usually means."""


def say_at_exit(logs: Iterable[str]) -> None:
    """Print how a failed run ended, after everything else that the process prints.

    Args:
        logs: the workflow's own log files, which hold the logs of the failed jobs.
    """
    atexit.register(_say, [Path(log).absolute() for log in logs], Path(".snakemake", "locks").absolute())


def explain_at_exit(logger: logging.Logger, results: Path) -> None:
    """Print as the last line of a run what the disk, the clock or another run did to it, and what to do.

    Snakemake may show that as a traceback, and where nothing can be written, no log holds it.

    Args:
        logger: Snakemake's.
    """
    heard = _Heard(logging.ERROR)
    logger.addHandler(heard)
    atexit.register(_explain, heard.texts, results.absolute())


class _Heard(logging.Handler):
    """The messages of a logger, kept."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def _explain(texts: list[str], results: Path) -> None:
    folder = next(folder for folder in (results, *results.parents) if folder.exists())
    found = f"{full_disk(folder)}" if is_full(folder) else explanation("\n".join(texts), folder)
    if found:
        print(f"\nerror: {found}", file=sys.stderr)


def explanation(said: str, folder: Path) -> str | None:
    """What went wrong outside of the programs, and what to do; None where Snakemake's errors don't show that.

    Args:
        said: Snakemake's errors.
        folder: what to name where they name no file.
    """
    if found := _OF_DISK.search(said):
        return found[0]
    if found := _ENDED.search(said):
        return (
            f"{found[1]}: another run in this folder ended while this one began. Run the same command again."
        )
    if refused := list(_OF_SYSTEM.finditer(said)):
        # What the system says of a file that could not be written comes before what others say of that file, which is then missing.
        found = next((one for one in refused if one["said"] in SYSTEM_REMEDIES), refused[0])
        return system_error(found["path"] or str(folder), found["said"])
    if found := _OF_CLOCK.search(said):
        return (
            f"{found['path']}: it was just made, and is older than its input {found['input']}: the clock of this machine, or of the "
            "file server, went back. Correct it, then: find RESULTS -newermt now -exec touch {} + (RESULTS is the results folder), "
            "and the same command."
        )
    if found := _OF_LOCK.search(said):
        return (
            f"{found['folder']}: another run works in this folder, or one was killed there. Where none runs: the same command with "
            "--unlock, once, then without it."
        )
    return None


def _say(logs: list[Path], locks: Path) -> None:
    text = "\n".join(log.read_text(encoding="utf-8", errors="replace") for log in logs if log.is_file())
    if _INTERRUPTED in text:
        print(GO_ON + (LOCKED if locks.is_dir() and any(locks.iterdir()) else ""), file=sys.stderr)
    elif errors := list(failures(text)):
        print("\n" + "\n".join(errors), file=sys.stderr)
    sys.stderr.flush()


def failures(log: str) -> Iterator[str]:
    """The error of each failed job in a workflow's log, each once.

    Of a job that wrote none: by which signal it was killed and what that usually means, or the last line that it wrote.
    """
    ends = dict(_ends(log))
    said: set[str] = set()
    for block in _FAILED_LOG.finditer(log):
        text = block["text"] or ""
        errors = [error.strip() for error in _ERROR.findall(text)]
        if end := ends.get(block["path"]):
            errors.append(f"error: {block['path']}: the job {end}")
        elif not errors:
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            last = lines[-1] if lines else "it wrote nothing"
            errors = [f"error: {block['path']}: the job stopped unexpectedly: {last}"]
        for error in errors:
            if error not in said:
                said.add(error)
                yield error


def _ends(log: str) -> Iterator[tuple[str, str]]:
    """Log file of each job that did not end by itself, and how it ended."""
    for found in _KILLED.finditer(log):
        name = found["name"] or _signal(int(found["status"]))
        if name:
            yield found["path"], f"was killed by {name}, {_usually(name)}"
    for found in _OF_SCHEDULER.finditer(log):
        if found["status"] in _LIKELY:
            yield found["path"], f"ended with status {found['status']} of Slurm, {_usually(found['status'])}"


def _signal(status: int) -> str | None:
    """The signal behind a shell's exit status, if there is one."""
    try:
        return signal.Signals(status - 128).name
    except ValueError:
        return None


def _usually(end: str) -> str:
    likely = f"usually {_LIKELY[end]}. " if end in _LIKELY else ""
    return f"{likely}Then run the same command: finished work is kept."
