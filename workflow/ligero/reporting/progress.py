"""How far a study is, from files alone: while it runs elsewhere, after it was killed, in a copy that cannot be written.

What the words mean. *Done*: all outputs of a job are there, and Snakemake has not marked it as started. *Running*: it is marked as
started, and either the run that started it holds its lock, or the job holds the lock of its own state (on a cluster it may outlive the
run). *Interrupted*: it is marked as started, and nobody holds a lock. *Failed*: it is neither done nor running, and its last
attempt ended with an error. *Waiting*: anything else.
"""

from __future__ import annotations

import csv
import re
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from ligero.common.errors import DataError
from ligero.common.file_locks import is_held
from ligero.common.run_notes import RunNote, code_digest, lock_digest, read_notes
from ligero.pretraining.records import SUMMARY_FILE, PretrainingSummary
from ligero.reporting.planned import STAGES, Cell, PlannedJob, planned_jobs
from ligero.reporting.snakemake_files import SnakemakeFiles, Started, has_ended
from ligero.settings import plan
from ligero.settings.study import Study
from ligero.training.planned_trials import trial_folder
from ligero.training.records import RESULT, read_shard

State = Literal["done", "running", "failed", "interrupted", "waiting"]
STATES: tuple[State, ...] = ("done", "running", "failed", "interrupted", "waiting")
LAST_LINES = 5
_BAR = re.compile(r"\d+%\|")
HOUR = 3600.0


@dataclass(frozen=True)
class JobProgress:
    """A job and how far it is.

    Attributes:
        seconds: that it took, or has taken so far; None where it has not started, or nothing recorded it.
        trials: of a job that trains: how many of its trials have ended.
        says: the last lines of its log where it failed or was interrupted.
    """

    job: PlannedJob
    state: State
    seconds: float | None
    trials: int | None = None
    cluster_job: str | None = None
    says: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class StageProgress:
    """A stage: jobs by state, hours that finished and running jobs took, and that are expected for the rest.

    Attributes:
        left: without the jobs of rules of which none has finished yet, so that nothing is known of them; `unknown` counts those.
    """

    stage: str
    jobs: dict[State, int]
    spent: float
    left: float
    unknown: int


@dataclass(frozen=True)
class RunState:
    """The latest run.

    Attributes:
        state: running; ended; killed (it holds no lock and never said that it ended); none where no run left a note.
        locked: whether its lock keeps another run out although it lives no more.
        life: seconds since a log was last written.
    """

    state: Literal["running", "ended", "killed", "none"]
    note: RunNote | None
    locked: bool
    life: float | None


@dataclass(frozen=True)
class OtherVersion:
    """Results that were made by another version.

    Attributes:
        what: code, packages, or a package by its name.
    """

    what: str
    found: str
    expected: str
    jobs: int
    examples: list[str]


@dataclass(frozen=True)
class CellProgress:
    """A system on a task: how many of its trials have ended."""

    regime: str
    model: str
    task: str
    state: State | Literal["trained"]
    trials: int
    of: int


def folder_of(study: Study, root: Path) -> Path | None:
    """The folder that a study runs in, from that of its results; None where these were moved to a place of another name."""
    parts, place = Path(study.results_dir).parts, root.resolve()
    return place.parents[len(parts) - 1] if place.parts[-len(parts) :] == parts else None


class Progress:
    """How far the study in a results folder is."""

    def __init__(self, study: Study, root: Path, project: Path) -> None:
        """
        Args:
            study: as its configuration has it; root: the results folder, wherever it lies now; project: the code at hand.
        """
        self.study, self.root, self.project = study, root.resolve(), project
        self.folder = folder_of(study, root)
        self.snakemake = SnakemakeFiles(self.folder)
        self._now = time.time()
        self._marks = self.snakemake.started()
        self._failed = self.snakemake.failed()
        self._runs = read_notes(self.root)

    def at(self, path: str) -> Path:
        """Where a path of the study's folder lies now."""
        return self.root / Path(path).relative_to(self.study.results_dir)

    @cached_property
    def run(self) -> RunState:
        """The latest run."""
        logs = self.snakemake.logs()
        written = [log.stat().st_mtime for log in logs[-1:]]
        written += [path.stat().st_mtime for path in (self.root / "logs").rglob("*.log")]
        life = self._now - max(written) if written else None
        if not self._runs:
            return RunState("none", None, False, life)
        owner = self.snakemake.owner
        alive = [note for note in self._runs if (note.host, note.pid) == owner]
        if alive:
            return RunState("running", alive[-1], False, life)
        note = self._runs[-1]
        log = next((log for log in logs if log.name in note.logs), None)
        ended = has_ended(log) if log else not self._marks
        return RunState("ended" if ended else "killed", note, self.snakemake.locked, life)

    @cached_property
    def jobs(self) -> list[JobProgress]:
        """Every job of the target `all`."""
        mirror = self.study.mirror
        if mirror and self.folder and "://" not in mirror:
            mirror = str(self.folder / mirror)
        return [self._job(job) for job in planned_jobs(self.study.model_copy(update={"mirror": mirror}))]

    def _job(self, job: PlannedJob) -> JobProgress:
        mark = next((self._marks[output] for output in job.outputs if output in self._marks), None)
        ended = self._trials(job) if job.trials and job.stage != "comparison" else None
        if mark is None and all(self.at(output).exists() for output in job.outputs):
            return JobProgress(job, "done", self._took(job), ended)
        if mark is not None:
            return self._started(job, mark, ended)
        if any(output in self._failed for output in job.outputs):
            return JobProgress(job, "failed", None, ended, says=last_lines(self.at(job.log)))
        return JobProgress(job, "waiting", None, ended)

    def _started(self, job: PlannedJob, mark: Started, ended: int | None) -> JobProgress:
        if self.run.state == "running" or any(map(is_held, self._locks(job))):
            return JobProgress(job, "running", self._now - mark.at, ended, mark.cluster_job)
        return JobProgress(job, "interrupted", None, ended, mark.cluster_job, last_lines(self.at(job.log)))

    def _took(self, job: PlannedJob) -> float | None:
        """Seconds of a finished job: from Snakemake's record, else from the file of its benchmark."""
        if record := self.snakemake.finished(job.outputs[0]):
            return max(0.0, record.ended - record.started)
        path = self.root / "benchmarks" / "jobs" / f"{'/'.join(filter(None, (job.rule, job.name)))}.tsv"
        if not path.is_file():
            return None
        with path.open(encoding="utf-8", newline="") as handle:
            rows = list(csv.DictReader(handle, delimiter="\t"))
        return float(rows[-1]["s"]) if rows else None

    def _folders(self, job: PlannedJob) -> list[Path]:
        """State folders of a job's trials, or of a pretraining."""
        if job.rule == "pretrain_model":
            return [self.root / "state" / "pretraining" / str(job.model)]
        if not job.trials or job.stage == "comparison":
            return []
        regime, model, _ = job.cells[0]
        shard = plan.shards_of(self.study, regime, model)[int(job.name.rpartition("-")[2])]
        return [trial_folder(self.root / "state" / regime / model, trial) for trial in shard]

    def _trials(self, job: PlannedJob) -> int:
        return sum((folder / RESULT).is_file() for folder in self._folders(job))

    def _locks(self, job: PlannedJob) -> list[Path]:
        return [folder / "run.lock" for folder in self._folders(job)]

    # --- sums ---------------------------------------------------------------------------------------------------------

    def stages(self) -> list[StageProgress]:
        """Every stage that the study has."""
        rates = self._rates()
        found = []
        for stage in STAGES:
            members = [one for one in self.jobs if one.job.stage == stage]
            if not members:
                continue
            counts = Counter(one.state for one in members)
            spent = sum(
                (one.seconds or 0.0) * self._devices(one.job)
                for one in members
                if one.state in ("done", "running")
            )
            expected = [(one, _left(one, rates)) for one in members if one.state != "done"]
            left = sum((seconds or 0.0) * self._devices(one.job) for one, seconds in expected)
            found.append(
                StageProgress(
                    stage, {state: counts[state] for state in STATES}, spent / HOUR, left / HOUR,
                    sum(seconds is None for _, seconds in expected),
                )
            )  # fmt: skip
        return found

    def _rates(self) -> dict[tuple[str, str | None], float]:
        """Mean seconds of a finished job of a rule, and of a rule and model; of one that trains, of each of its trials."""
        seconds: dict[tuple[str, str | None], list[float]] = {}
        for one in self.jobs:
            if one.state == "done" and one.seconds is not None:
                for key in {(one.job.rule, None), (one.job.rule, one.job.model)}:
                    seconds.setdefault(key, []).append(one.seconds / max(1, one.job.trials))
        return {key: sum(values) / len(values) for key, values in seconds.items()}

    def _devices(self, job: PlannedJob) -> int:
        """GPUs of a job; 1 where it uses none."""
        hardware = self.study.hardware
        if job.rule == "pretrain_model":
            return max(1, hardware.pretraining.devices * hardware.pretraining.nodes)
        return (
            max(1, hardware.training.devices)
            if job.stage in ("pretraining", "fine-tuning", "teachers", "distillation", "comparison")
            else 1
        )

    def cells(self) -> list[CellProgress]:
        """Every system on every task."""
        jobs: dict[Cell, list[JobProgress]] = {}
        for one in self.jobs:
            for cell in one.job.cells:
                jobs.setdefault(cell, []).append(one)
        found = []
        for (regime, model, task), behind in jobs.items():
            trials = [trial for trial in plan.trials_of(self.study, regime, model) if trial.task == task]
            folder = self.root / "state" / regime / model
            trained = all(one.state == "done" for one in behind if one.job.trials)
            ended = (
                len(trials)
                if trained
                else sum((trial_folder(folder, trial) / RESULT).is_file() for trial in trials)
            )
            found.append(CellProgress(regime, model, task, _state(behind, trained), ended, len(trials)))
        return found

    # --- versions -----------------------------------------------------------------------------------------------------

    def other_versions(self) -> list[OtherVersion]:
        """Finished jobs of runs with other code or pins than those at hand, and records that name other packages than the lock file."""
        return [*self._other_code(), *self._other_packages()]

    def _other_code(self) -> Iterable[OtherVersion]:
        now = {"code": code_digest(self.project), "packages": lock_digest(self.project)}
        for what, expected in now.items():
            by_version: dict[str, list[str]] = {}
            for one in self.jobs:
                record = self.snakemake.finished(one.job.outputs[0]) if one.state == "done" else None
                made = next(
                    (note for note in reversed(self._runs) if record and note.started <= record.started),
                    None,
                )
                if made and (found := made.code if what == "code" else made.lock) != expected:
                    by_version.setdefault(found, []).append(one.job.label)
            for found, labels in by_version.items():
                yield OtherVersion(what, found, expected, len(labels), labels[:3])

    def _other_packages(self) -> Iterable[OtherVersion]:
        pinned = _pins(self.project / "requirements.lock")
        by_version: dict[tuple[str, str], list[str]] = {}
        for one in self.jobs:
            for name, version in self._versions(one) if one.state == "done" else ():
                if name in pinned and version.partition("+")[0] != pinned[name]:
                    by_version.setdefault((name, version), []).append(one.job.label)
        for (name, version), labels in by_version.items():
            yield OtherVersion(name, version, pinned[name], len(labels), labels[:3])

    def _versions(self, one: JobProgress) -> Iterable[tuple[str, str]]:
        """Packages that the records of a finished job name."""
        try:
            if one.job.rule == "pretrain_model":
                path = next(self.at(output) for output in one.job.outputs if output.endswith(SUMMARY_FILE))
                return [("torch", PretrainingSummary.read(path.parent).torch)]
            if one.job.rule in ("finetune_model", "distill_student"):
                trials = read_shard(self.at(one.job.outputs[0]))["trials"]
                return {pair for trial in trials for pair in trial.get("versions", {}).items()}
        except DataError:  # `ligero verify` names what is damaged
            pass
        return []


def _left(one: JobProgress, rates: dict[tuple[str, str | None], float]) -> float | None:
    """Seconds that a job will take, without what it has taken; None where no job of its rule has ended."""
    rate = rates.get((one.job.rule, one.job.model), rates.get((one.job.rule, None)))
    if rate is None:
        return None
    left = max(1, one.job.trials) - (one.trials or 0)
    return max(0.0, rate * left - (one.seconds or 0.0 if one.trials is None else 0.0))


def _state(behind: list[JobProgress], trained: bool) -> State | Literal["trained"]:
    """Of a system on a task, from its jobs."""
    if all(one.state == "done" for one in behind if one.job.rule == "score_systems"):
        return "done"
    for state in ("failed", "running", "interrupted"):
        if any(one.state == state for one in behind):
            return state
    return "trained" if trained else "waiting"


def last_lines(log: Path) -> list[str]:
    """The end of a log, without blank lines and progress bars."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    lines = text.replace("\r", "\n").splitlines()
    return [line.rstrip() for line in lines if line.strip() and not _BAR.search(line)][-LAST_LINES:]


def _pins(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return dict(line.split("==", 1) for line in lines if "==" in line)
