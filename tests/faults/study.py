"""A finished small study, its jobs, copies of it in which a job is to be done again, and the comparison of a copy with it."""

from __future__ import annotations

import atexit
import base64
import contextlib
import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
MINI = Path(__file__).with_name("mini.yaml")
TARGETS = ("all", "exports")
PATIENCE = 1800
"""Seconds after which a run counts as one that hangs, on a machine however busy."""
TIMES = re.compile(r"seconds|_per_second$|gflops|share_of_peak|^(date|checksum|README\.md|metrics\.jsonl)$")
"""Keys of JSON that measure time, and the digests of what does."""
MEASURED = (
    "benchmarks/inference_speed.json", "benchmarks/tradeoff.json", "tables/cost.*", "tables/tradeoff*", "tables/summary.*",
    "tables/inference_speed.*",
    "summary.*", "report.*", "figures/score_vs_latency*", "figures/tradeoff*", "cards/digests.json", "cards/*/*/*.md",
    "exports/*/*/*/README.md",
)  # fmt: skip
"""Files that show how fast something was: they are others where that was measured again, and only there."""


@dataclass(frozen=True)
class Job:
    """A job of a finished study, as Snakemake recorded it."""

    rule: str
    outputs: tuple[str, ...]
    inputs: tuple[str, ...]
    command: str
    log: str

    @property
    def state(self) -> str | None:
        """The folder in which it keeps what it has so far."""
        found = re.search(r" --state(?:-dir)? (\S+)", self.command)
        return found[1] if found else None

    @property
    def program(self) -> str:
        found = re.search(r"\$PROGRAMS/(\w+\.py)", self.command)
        return found[1] if found else "python"


class Run:
    """Snakemake as the leader of a process group of its own. It is forked from a server that has loaded it, which saves a second."""

    def __init__(self, arguments: Sequence[str], before: Sequence[str] = ()) -> None:
        handle, name = tempfile.mkstemp(prefix="ligero-said-")
        self._said = Path(name)
        if before:
            command = [*before, sys.executable, "-m", "snakemake", *arguments]
            self._popen = subprocess.Popen(
                command, stdout=handle, stderr=subprocess.STDOUT, cwd=PROJECT, start_new_session=True
            )
            self.pid = self._popen.pid
        else:
            self._process = _server().Process(target=_snakemake, args=(list(arguments), name))
            self._process.start()
            self.pid = self._process.pid or 0
        os.close(handle)

    def poll(self) -> int | None:
        """Its exit status, None while it runs."""
        return self._popen.poll() if hasattr(self, "_popen") else self._process.exitcode

    def kill(self, whole_group: bool = False) -> None:
        """kill -9 of it alone, or with all its jobs."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                (os.killpg if whole_group else os.kill)(self.pid, signal.SIGKILL)

    def ended(self) -> tuple[int | None, str]:
        """Wait for it: exit status, None where it hung and was killed, and what it said."""
        until = time.monotonic() + PATIENCE
        while self.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        status = self.poll()
        self.kill(whole_group=True)
        said = self._said.read_text(encoding="utf-8", errors="replace") if self._said.exists() else ""
        self._said.unlink(missing_ok=True)
        return status, said


@cache
def _server() -> ForkServerContext:
    os.environ["OMP_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["snakemake.cli"])
    return context


def _snakemake(arguments: list[str], said: str) -> None:
    os.setsid()
    handle = os.open(said, os.O_WRONLY | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", 1, closefd=False), os.fdopen(2, "w", 1, closefd=False)
    os.chdir(PROJECT)
    from snakemake.cli import main

    try:
        main(arguments)
    finally:
        atexit._run_exitfuncs()


@dataclass(frozen=True)
class Study:
    """A configuration and the folder of its finished run."""

    config: Path
    finished: Path

    def run(
        self, folder: Path, targets: Iterable[str], *options: str, before: Sequence[str] = ()
    ) -> tuple[int | None, str]:
        """Run to the end: exit status, None where it hung and was killed, and what it said."""
        return self.start(folder, targets, *options, before=before).ended()

    def start(self, folder: Path, targets: Iterable[str], *options: str, before: Sequence[str] = ()) -> Run:
        """Start Snakemake in a folder, as a user does but for the pace of its scheduler; `before` is a command that starts it."""
        arguments = [
            "--snakefile", str(PROJECT / "Snakefile"), "--configfile", str(self.config),
            "--workflow-profile", str(PROJECT / "profiles" / "default"), "--directory", str(folder), "--cores", "1",
            "--max-jobs-per-timespan", "1000/1s", *options, "--", *targets,
        ]  # fmt: skip
        return Run(arguments, before)

    def finish(self) -> None:
        """Run the study from nothing."""
        self.finished.mkdir(parents=True, exist_ok=True)
        status, said = self.run(self.finished, TARGETS)
        if status != 0:
            raise SystemExit(f"error: {self.config}: the undisturbed run failed:\n{said[-5000:]}")

    def jobs(self) -> list[Job]:
        """Its jobs, in a fixed order."""
        found: dict[tuple[str, str], list[tuple[str, Any]]] = {}
        for path in sorted((self.finished / ".snakemake" / "metadata").rglob("*")):
            if path.is_file():
                record = json.loads(path.read_text(encoding="utf-8"))
                name = base64.b64decode(
                    "".join(path.relative_to(self.finished / ".snakemake/metadata").parts)
                ).decode()
                found.setdefault((record["rule"], " ".join(record["log"])), []).append(
                    (name.removesuffix("/"), record)
                )
        return [
            Job(
                rule,
                tuple(sorted(name for name, _ in made)),
                tuple(sorted({name for _, record in made for name in record["input"]})),
                made[0][1]["shellcmd"] or "",
                log,
            )
            for (rule, log), made in sorted(found.items())
        ]

    def copy(self, folder: Path, without: Job | None = None, keep_state: bool = False) -> None:
        """A copy of the finished study in which one job is still to be done."""
        shutil.copytree(self.finished, folder, symlinks=True, dirs_exist_ok=True)
        for name in without.outputs if without else ():
            remove(folder / name)
        if without and without.state and not keep_state:
            remove(folder / without.state)

    def differences(self, folder: Path) -> list[str]:
        """The artefacts below the results folder that are missing, or are not those of the undisturbed run, digit by digit."""
        wrong, measured, again = [], [], False
        for path in artefacts(self.finished / "results"):
            name = path.relative_to(self.finished / "results")
            other = folder / "results" / name
            if not other.is_file():
                wrong.append(f"{name} is missing")
            elif path.read_bytes() == other.read_bytes():
                continue
            elif any(name.match(pattern) for pattern in MEASURED):
                measured.append(f"{name} is another")
                again |= name.parts[0] == "benchmarks"
            elif same(path, other):
                again = True
            else:
                wrong.append(f"{name} is another")
        return wrong if again else wrong + measured


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def artefacts(results: Path) -> Iterator[Path]:
    """Every file of a results folder that is a result: no logs, states of unfinished work or locks."""
    for path in sorted(results.rglob("*")):
        parts = path.relative_to(results).parts
        hidden = any(part.startswith(".") for part in parts)
        card = parts[0] == "models" and parts[-1] == "README.md"  # a copy of one among the cards
        if (
            path.is_file()
            and not hidden
            and not card
            and parts[0] not in ("logs", "state", "hub")
            and parts[:2] != ("benchmarks", "jobs")
        ):
            yield path


def same(one: Path, other: Path) -> bool:
    """Whether two artefacts that differ are the same but for the times that they report."""
    if one.suffix == ".json":
        try:
            return without_times(json.loads(one.read_bytes())) == without_times(
                json.loads(other.read_bytes())
            )
        except ValueError:
            return False
    if one.suffix == ".jsonl":
        lines = [
            [without_times(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
            for path in (one, other)
        ]
        return lines[0] == lines[1]
    return False


def without_times(value: Any) -> Any:
    """JSON without the keys that measure time."""
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if not TIMES.search(key)}
    return [without_times(item) for item in value] if isinstance(value, list) else value
