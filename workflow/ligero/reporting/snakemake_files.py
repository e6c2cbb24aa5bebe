"""What Snakemake leaves in a study's folder, read without Snakemake: records of finished jobs, marks of started ones, locks, logs.

Checked against Snakemake 9.27 (`snakemake.persistence.file`); a test runs it.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from dataclasses import dataclass
from pathlib import Path

from ligero.common.file_locks import is_held
from ligero.common.run_start import OWNER

_NAME = 254
"""Characters of a part of a record's name; longer names are cut into folders that begin with @."""
_FAILED = re.compile(r"^Error in rule (?P<rule>\w+):\n(?P<body>(?:    .*\n)*)", re.MULTILINE)
_OUTPUT = re.compile(r"^    output: (?P<files>.*)$", re.MULTILINE)
_ENDED = re.compile(r"^Complete log\(s\):", re.MULTILINE)
MOST_LOGS = 50


@dataclass(frozen=True)
class Finished:
    """The record of a finished job: seconds since the epoch, and what it read."""

    started: float
    ended: float
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Started:
    """The mark of a job that was started and has not ended: when, and under which number of the cluster."""

    at: float
    cluster_job: str | None


class SnakemakeFiles:
    """The folder `.snakemake`. Everything is empty where there is none, as in a copy of the results alone."""

    def __init__(self, folder: Path | None) -> None:
        """
        Args:
            folder: the study's, in which Snakemake ran; None where it is not known.
        """
        self.folder = folder / ".snakemake" if folder else None

    @property
    def present(self) -> bool:
        return self.folder is not None and self.folder.is_dir()

    def finished(self, output: str) -> Finished | None:
        """The record of the job that made an output."""
        if self.folder is None:
            return None
        encoded = urlsafe_b64encode(output.encode()).decode()
        parts = [encoded[start : start + _NAME] for start in range(0, len(encoded), _NAME)]
        path = self.folder.joinpath("metadata", *(f"@{part}" for part in parts[:-1]), parts[-1])
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            return Finished(
                float(record["starttime"]), float(record["endtime"]), tuple(record.get("input") or ())
            )
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
        ):  # it is written in place: a reader may see half of it
            return None

    def started(self) -> dict[str, Started]:
        """Output to the mark of its job."""
        if self.folder is None:
            return {}
        root, found = self.folder / "incomplete", {}
        for path in root.rglob("*"):
            if not path.is_file():
                continue
            try:
                name = "".join(part.removeprefix("@") for part in path.relative_to(root).parts)
                output, at = urlsafe_b64decode(name).decode(), path.stat().st_mtime
                number = json.loads(path.read_text(encoding="utf-8") or "{}").get("external_jobid")
            except (OSError, ValueError, Error):
                continue
            found[output] = Started(at, str(number) if number is not None else None)
        return found

    @property
    def owner(self) -> tuple[str, int] | None:
        """Machine and process that hold the lock of the run; None where nobody does."""
        path = self.folder / OWNER.name if self.folder else None
        if path is None or not is_held(path):
            return None
        host, _, pid = _read(path).strip().partition(" ")
        return (host, int(pid)) if pid.isdecimal() else None

    @property
    def locked(self) -> bool:
        """Whether a run has locked the folder; a run that was killed leaves its lock."""
        return self.folder is not None and any((self.folder / "locks").glob("*.lock"))

    def logs(self) -> list[Path]:
        """The logs of its latest runs, oldest first."""
        found = sorted((self.folder / "log").glob("*.log")) if self.folder else []
        return found[-MOST_LOGS:]

    def failed(self) -> set[str]:
        """Outputs of jobs of which some attempt ended with an error."""
        found: set[str] = set()
        for log in self.logs():
            for block in _FAILED.finditer(_read(log)):
                if files := _OUTPUT.search(block["body"]):
                    found |= {name.split(" (", 1)[0] for name in files["files"].split(", ")}
        return found


def has_ended(log: Path) -> bool:
    """Whether the run with this log came to its end, well or not."""
    return bool(_ENDED.search(_read(log)))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
