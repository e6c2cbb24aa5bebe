"""What clusters do to a study, done to a small one on a running Slurm, as root: `python -m tests.slurm.faults --folder FOLDER [FAULT ...]`.

Each fault hits trials of the array of fine-tuning after they wrote a checkpoint. A study has survived where its summary and all
test scores are those of an undisturbed local run to the last digit, no file of work that was finished before changed, and each job
lost less than its current epoch. Prints a table; the exit status is 1 where a study has not survived.

FOLDER keeps the local run and the studies. Without a cluster: tests/slurm/cluster.sh start
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ligero.settings.load import load_study
from ligero.settings.plan import shards_of
from ligero.settings.study import Study
from ligero.settings.yaml_files import read_yaml
from tests.builders.slurm import controller, profile_command, slurm_jobs, small_study, written
from tests.builders.workflow import snakemake_command
from tests.imports import PROJECT

REGIME, MODEL = "fine-tuning", "beto-cased"
EPOCHS = 4
SUMMARY = "results/summary.csv"
OUTAGE = 60
"""Seconds that the controller is stopped."""


@dataclass(frozen=True)
class Training:
    """A trial that is training now.

    Attributes:
        slurm_id: of its job, as scancel takes it.
        checkpoints: its folder.
        started: when its process started.
    """

    pid: int
    slurm_id: str
    node: str
    checkpoints: Path
    started: float

    @property
    def saved(self) -> dict[str, float]:
        """When its checkpoints were written, by name: one for each epoch of five seconds or more, of which the last is kept."""
        found = {}
        for path in self.checkpoints.glob("step-*.json"):
            with contextlib.suppress(FileNotFoundError):
                found[path.name] = path.stat().st_mtime
        return found


@dataclass
class Outcome:
    """A row of the table."""

    fault: str
    killed: int = 0
    lost: list[float] = field(default_factory=list)
    epoch: float = 0.0
    finished: int = 0
    repeated: list[str] = field(default_factory=list)
    same: bool = False
    minutes: float = 0.0
    problem: str = ""

    @property
    def survived(self) -> bool:
        return self.same and not self.repeated and all(lost <= self.epoch for lost in self.lost)

    def row(self) -> list[str]:
        lost = f"{max(self.lost):.1f} of {self.epoch:.1f} s" if self.lost else "-"
        return [
            self.fault, str(self.killed), lost, f"{len(self.repeated)} of {self.finished}",
            "same" if self.same else self.problem or "differs", f"{self.minutes:.1f}", "yes" if self.survived else "NO",
        ]  # fmt: skip


def scancel(trials: list[Training]) -> list[Training]:
    """A user cancels one job."""
    slurm("scancel", trials[0].slurm_id)
    return trials[:1]


def out_of_memory(trials: list[Training]) -> list[Training]:
    """The kernel kills one training process: exit status 137."""
    os.kill(trials[0].pid, signal.SIGKILL)
    return trials[:1]


def time_limit(trials: list[Training]) -> list[Training]:
    """A job reaches its time limit."""
    slurm("scontrol", "update", f"JobId={trials[0].slurm_id}", "EndTime=now+1")
    deadline = time.monotonic() + 90
    while alive(trials[0].pid) and time.monotonic() < deadline:
        time.sleep(0.2)
    return trials[:1]


def node_down(trials: list[Training]) -> list[Training]:
    """A node loses its power; it is back after a minute."""
    node = trials[0].node
    lost = [trial for trial in trials if trial.node == node]
    daemon = Path(setting("SlurmdPidFile").replace("%n", node).replace("%h", node))
    os.kill(int(daemon.read_text()), signal.SIGKILL)
    steps = [pid for pid in processes() if "slurmstepd" in command_of(pid)]
    members = {pid for pid in processes() if environment_of(pid).get("SLURMD_NODENAME") == node}
    parents = {parent_of(pid) for pid in members}
    for pid in [*(step for step in steps if step in parents), *members]:
        kill(pid)
    slurm("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=lost")
    time.sleep(OUTAGE)
    subprocess.run(["slurmd", "-N", node], check=True)
    deadline = time.monotonic() + OUTAGE
    while slurm("sinfo", "--noheader", f"--nodes={node}", "--format=%T").startswith("down"):
        if time.monotonic() > deadline:
            raise SystemExit(f"{node}: still down a minute after its slurmd was started")
        # Refused where the node came back by itself (ReturnToService).
        subprocess.run(["scontrol", "update", f"NodeName={node}", "State=RESUME"], capture_output=True)
        time.sleep(1)
    return lost


def controller_killed(trials: list[Training]) -> list[Training]:
    """The controller is killed, and started again after 20 seconds."""
    os.kill(controller(), signal.SIGKILL)
    time.sleep(20)
    subprocess.run(["slurmctld"], check=True)
    return []


def controller_stopped(trials: list[Training]) -> list[Training]:
    """The controller answers nobody for a minute."""
    number = controller()
    os.kill(number, signal.SIGSTOP)
    time.sleep(OUTAGE)
    os.kill(number, signal.SIGCONT)
    return []


def snakemake_killed(trials: list[Training]) -> list[Training]:
    """The login node loses its power: Snakemake dies, its jobs are cancelled by hand, and the same command is given again."""
    raise NotImplementedError  # done in `run`, which owns the process


FAULTS: dict[str, Callable[[list[Training]], list[Training]]] = {
    "scancel": scancel,
    "exit-137": out_of_memory,
    "time-limit": time_limit,
    "node-down": node_down,
    "controller-killed": controller_killed,
    "controller-stopped": controller_stopped,
    "snakemake-killed": snakemake_killed,
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=f"of {', '.join(FAULTS)}; default: all")
    parser.add_argument(
        "--target", default=SUMMARY, help=f"what is made and compared; default: {SUMMARY} and all test scores"
    )
    parser.add_argument("--folder", type=Path, required=True, help="on a file system that all nodes share")
    args = parser.parse_args()
    unknown = set(args.faults) - FAULTS.keys()
    if unknown:
        parser.error(f"unknown fault {', '.join(sorted(unknown))}; expected {', '.join(FAULTS)}")
    folder: Path = args.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    config = written(configuration(), folder / "study.yaml")
    prepare(config, folder)
    outcomes = [run(fault, config, folder, args.target) for fault in args.faults or FAULTS]
    head = [
        "fault",
        "jobs killed",
        "lost at most",
        "files of finished work changed",
        "summary and scores",
        "minutes",
        "survived",
    ]
    print(
        "\n".join(
            "| " + " | ".join(row) + " |" for row in [head, ["-"] * len(head), *(o.row() for o in outcomes)]
        )
    )
    return 0 if all(outcome.survived for outcome in outcomes) else 1


def configuration() -> dict[str, Any]:
    """Two models with two trials each, one student with one; an epoch of the larger model takes some seconds."""
    config = small_study()
    for section, rates in (("fine_tuning", ["1e-3", "5e-4"]), ("distillation", ["1e-3"])):
        grid = {"batch_size": [16], "epochs": [1], "learning_rate": rates}
        config[section] |= {"grid": grid, "trials_per_job": 1}
    config["models"][MODEL]["grid"] = {"epochs": [EPOCHS]}
    config["embedded_scale"] = 1.0
    config["models"][MODEL]["architecture"] |= {
        "hidden_size": 96,
        "intermediate_size": 384,
        "num_hidden_layers": 6,  # an epoch of five seconds or more also on a fast processor: shorter ones leave no checkpoint
    }
    return config


def prepare(config: Path, folder: Path) -> None:
    """The undisturbed run on this machine, and a copy of it from before the first trial."""
    local, base = folder / "local", folder / "base"
    command = snakemake_command(PROJECT, config, local)
    if not base.exists():
        finished(
            [
                *command,
                "--until",
                "pretrain_model",
                "encode_task",
                "prepare_task",
                "--",
                "results/summary.csv",
            ]
        )
        shutil.copytree(local, base)
    if not (local / "results/summary.csv").exists():
        finished([*command, "--", "results/summary.csv"])


def run(fault: str, config: Path, folder: Path, target: str) -> Outcome:
    """A study with one fault."""
    place, outcome = folder / fault, Outcome(fault)
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(folder / "base", place)
    command = [*profile_command(PROJECT, config, place), "--", target]
    started = time.monotonic()
    with (folder / f"{fault}.log").open("w") as log:
        process = subprocess.Popen(command, cwd=PROJECT, stdout=log, stderr=subprocess.STDOUT)
        try:
            trials, outcome.epoch = wait_for_checkpoints(
                place, load_study(read_yaml(config), PROJECT), process
            )
            before = finished_work(place)
            saved = {trial.checkpoints: max(trial.saved.values(), default=trial.started) for trial in trials}
            outcome.finished, now = len(before), time.time()
            if fault == "snakemake-killed":
                process.kill()
                process.wait()
                for job in slurm_jobs(place):
                    if job.state in ("RUNNING", "PENDING"):
                        slurm("scancel", job.id)
                killed = trials
                time.sleep(5)
                unlock = [*command[: command.index("--")], "--unlock"]
                subprocess.run(unlock, cwd=PROJECT, check=True, stdout=log, stderr=log)
                process = subprocess.Popen(command, cwd=PROJECT, stdout=log, stderr=subprocess.STDOUT)
            else:
                killed = FAULTS[fault](trials)
            outcome.killed = len(killed)
            outcome.lost = [now - saved[trial.checkpoints] for trial in killed]
            code = process.wait(timeout=1800)
        finally:
            process.kill()
    outcome.minutes = (time.monotonic() - started) / 60
    after = finished_work(place)
    outcome.repeated = [name for name, identity in before.items() if after.get(name) != identity]
    if code:
        outcome.problem = f"exit status {code}, see {fault}.log"
    else:
        outcome.same = results(place, target) == results(folder / "local", target)
    print(" | ".join(outcome.row()), *outcome.repeated, flush=True)
    return outcome


def wait_for_checkpoints(
    place: Path, study: Study, process: subprocess.Popen[bytes]
) -> tuple[list[Training], float]:
    """The trials of the larger model once all have a checkpoint and one has two, that one first, and how long an epoch takes."""
    seen: dict[Path, dict[str, float]] = {}
    while process.poll() is None:
        trials = training(place, study)
        for trial in trials:
            seen.setdefault(trial.checkpoints, {}).update(trial.saved)
        epochs = {
            folder: max(written.values()) - min(written.values())
            for folder, written in seen.items()
            if len(written) > 1
        }
        ready = [trial for trial in trials if trial.checkpoints in epochs]
        if ready and all(trial.saved for trial in trials):
            return [*ready, *(trial for trial in trials if trial not in ready)], max(epochs.values())
        time.sleep(0.2)
    raise SystemExit(f"{place}: Snakemake ended before a trial wrote two checkpoints")


def training(place: Path, study: Study) -> list[Training]:
    """The trials of the larger model that are training in a working folder."""
    found = []
    for pid in processes():
        words = command_of(pid).split("\0")
        if (
            not any(word.endswith("finetune.py") for word in words)
            or MODEL not in words
            or working_folder(pid) != place
        ):
            continue
        environment = environment_of(pid)
        number = environment.get("SLURM_ARRAY_JOB_ID") or environment["SLURM_JOB_ID"]
        task = environment.get("SLURM_ARRAY_TASK_ID")
        (trial,) = shards_of(study, REGIME, MODEL)[int(words[words.index("--shard") + 1])]
        state = place / "results/state" / REGIME / MODEL / trial.task / trial.id
        found.append(
            Training(
                pid,
                f"{number}_{task}" if task else number,
                environment["SLURMD_NODENAME"],
                state / "checkpoints",
                Path(f"/proc/{pid}").stat().st_mtime,
            )
        )
    return found


def finished_work(place: Path) -> dict[str, tuple[int, int]]:
    """Which file each result of a finished job or trial is: a job that repeats its work writes another one in its place.

    Not its time: Snakemake itself sets that when it hears of the job's end. Not trials/: a job that dies between its last trial
    and its end collects them there once more, from the result.json of each.
    """
    patterns = (
        "state/**/result.json", "pretrained/**/*", "encoded/**/*", "selection/**/*", "logits/**/*",
    )  # fmt: skip
    files = [path for pattern in patterns for path in (place / "results").glob(pattern) if path.is_file()]
    return {str(path.relative_to(place)): (path.stat().st_ino, path.stat().st_size) for path in files}


def results(place: Path, target: str) -> list[object]:
    """The target, if it is the summary, and every test score (of the target, if it is not) with its interval."""
    whole = target == SUMMARY
    shards = sorted((place / "results/scores").rglob("*.json")) if whole else [place / target]
    scores = [
        (str(path.relative_to(place)), score["model"], score["task"], score["metrics"], score["intervals"])
        for path in shards
        for score in json.loads(path.read_text())["scores"]
    ]
    return [*scores, (place / target).read_text() if whole else None]


def finished(command: list[str]) -> None:
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])


def slurm(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def setting(name: str) -> str:
    found = re.search(rf"^{name}\s*= (\S+)", slurm("scontrol", "show", "config"), re.MULTILINE)
    assert found, name
    return found[1]


def processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def command_of(pid: int) -> str:
    return _read(pid, "cmdline")


def environment_of(pid: int) -> dict[str, str]:
    return dict(entry.split("=", 1) for entry in _read(pid, "environ").split("\0") if "=" in entry)


def working_folder(pid: int) -> Path | None:
    try:
        return Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return None


def parent_of(pid: int) -> int:
    found = re.search(r"^PPid:\s*(\d+)", _read(pid, "status"), re.MULTILINE)
    return int(found[1]) if found else 0


def alive(pid: int) -> bool:
    return "finetune.py" in command_of(pid)


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(errors="replace")
    except OSError:
        return ""


if __name__ == "__main__":
    raise SystemExit(main())
