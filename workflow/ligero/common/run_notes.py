"""Runs of the workflow, as files know them: each leaves a note of when, where and with which code and packages it ran."""

from __future__ import annotations

import os
import platform
import socket
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from ligero.common.hashing import digest_files
from ligero.common.records import read_record, write_record

NOTES = Path("state", "runs")
"""Below the results folder."""


@dataclass(frozen=True)
class RunNote:
    """A run of the workflow.

    Attributes:
        started: seconds since the epoch.
        code: digest of the rules and of everything below workflow/; lock: of requirements.lock.
        logs: names of the workflow's own, below .snakemake/log.
    """

    started: float
    host: str
    pid: int
    command: list[str]
    code: str
    lock: str
    python: str
    logs: list[str]

    @property
    def when(self) -> str:
        """Its start, in UTC."""
        return f"{datetime.fromtimestamp(self.started, UTC):%Y-%m-%d %H:%M:%S} UTC"


def code_digest(project: Path) -> str:
    """Digest of what decides results beside settings and data: rules, programs and library."""
    files = [project / "Snakefile", *project.glob("rules/*.smk"), *project.glob("workflow/**/*.py")]
    return digest_files(project, sorted(path.relative_to(project).as_posix() for path in files))


def lock_digest(project: Path) -> str:
    """Digest of the pinned packages."""
    return digest_files(project, ["requirements.lock"])


def note_run(results: Path, project: Path, logs: list[str]) -> None:
    """Leave a note of this process below the results folder."""
    started, names = time.time(), [Path(log).name for log in logs]
    note = RunNote(
        started, socket.gethostname(), os.getpid(), sys.argv, code_digest(project), lock_digest(project),
        platform.python_version(), names,
    )  # fmt: skip
    name = f"{datetime.fromtimestamp(started, UTC):%Y%m%dT%H%M%S}-{note.host}-{note.pid}.json"
    write_record(results / NOTES / name, asdict(note))


def read_notes(results: Path) -> list[RunNote]:
    """The notes of all runs, oldest first."""
    return [RunNote(**read_record(path)) for path in sorted((results / NOTES).glob("*.json"))]
