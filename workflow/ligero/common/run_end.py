"""What a run says last: the errors of its failed jobs once more, or how to go on after an interruption."""

from __future__ import annotations

import atexit
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

_FAILED_LOG = re.compile(r"^Logfile (?P<path>\S+):\n=+\n(?P<text>.*?)\n=+$", re.MULTILINE | re.DOTALL)
_ERROR = re.compile(r"^error: .*?(?=^error: |\Z)", re.MULTILINE | re.DOTALL)
_INTERRUPTED = "Terminating processes on user request"

GO_ON = "Interrupted. Run the same command to continue: finished jobs are kept, and training resumes from the last checkpoint."
LOCKED = " The folder is still locked: give the command with --unlock once before."


def say_at_exit(logs: Iterable[str]) -> None:
    """Print how a failed run ended, after everything else that the process prints.

    Args:
        logs: the workflow's own log files, which hold the logs of the failed jobs.
    """
    atexit.register(_say, [Path(log).absolute() for log in logs], Path(".snakemake", "locks").absolute())


def _say(logs: list[Path], locks: Path) -> None:
    text = "\n".join(log.read_text(encoding="utf-8", errors="replace") for log in logs if log.is_file())
    if _INTERRUPTED in text:
        print(GO_ON + (LOCKED if locks.is_dir() and any(locks.iterdir()) else ""), file=sys.stderr)
    elif errors := list(failures(text)):
        print("\n" + "\n".join(errors), file=sys.stderr)
    sys.stderr.flush()


def failures(log: str) -> Iterator[str]:
    """The error of each failed job in a workflow's log, each once; of a job that stopped unexpectedly the last line it wrote."""
    said: set[str] = set()
    for block in _FAILED_LOG.finditer(log):
        errors = [error.strip() for error in _ERROR.findall(block["text"])]
        if not errors:
            lines = [line for line in block["text"].splitlines() if line.strip()]
            errors = [
                f"error: {block['path']}: the job stopped unexpectedly: {lines[-1].strip() if lines else 'it wrote nothing'}"
            ]
        for error in errors:
            if error not in said:
                said.add(error)
                yield error
