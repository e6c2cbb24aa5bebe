"""A small study for a Slurm cluster: its configuration, the command that runs it through profiles/slurm, and what Slurm knows of it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.builders.workflow import POCKET


def small_study(**changes: Any) -> dict[str, Any]:
    """One task, two models and one student of the pocket study; `changes` replace sections."""
    config: dict[str, Any] = yaml.safe_load(POCKET.read_text(encoding="utf-8"))
    config["tasks"] = {"ner": config["tasks"]["ner"]}
    config["teachers"]["choices"] = {"ner": "beto-cased"}
    del config["models"]["albeto-base"], config["distillation"]["students"]["albeto-base-2"]
    del config["ablation"]
    return config | changes


def written(config: dict[str, Any], path: Path) -> Path:
    """The configuration as a file."""
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return path


def profile_command(project: Path, configfile: Path, folder: Path) -> list[str]:
    """Snakemake with the cluster profile, in a working folder that every node sees."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(project / "Snakefile")]
    command += ["--configfile", str(configfile), "--workflow-profile", str(project / "profiles" / "default")]
    return [*command, "--profile", str(project / "profiles" / "slurm"), "--directory", str(folder)]


@dataclass(frozen=True)
class SlurmJob:
    """What squeue says of a job or of a task of an array.

    Attributes:
        id: `17` or `17_3`, as scancel takes it.
        state: RUNNING, COMPLETED, ...
        memory: that it asked for, with its unit.
        comment: the rule, and the wildcards of the array's first task.
        working_folder: of the Snakemake that submitted it.
    """

    id: str
    state: str
    processors: int
    memory: str
    partition: str
    comment: str
    working_folder: str


def why_no_slurm() -> str | None:
    """Why no job can be submitted on this machine; None where one can."""
    if shutil.which("sbatch") is None:
        return "no sbatch on this machine"
    try:
        asked = subprocess.run(["sinfo", "--noheader"], capture_output=True, text=True, timeout=30)
    except subprocess.TimeoutExpired:
        return "Slurm's controller does not answer"
    if asked.returncode != 0 or not asked.stdout.strip():
        return f"Slurm's controller does not answer: {asked.stderr.strip() or 'no partition'}"
    return None


def controller() -> int:
    """The process of slurmctld on this machine."""
    asked = subprocess.run(["scontrol", "show", "config"], capture_output=True, text=True, check=True)
    found = re.search(r"^SlurmctldPidFile\s*= (\S+)", asked.stdout, re.MULTILINE)
    assert found
    return int(Path(found[1]).read_text())


def slurm_jobs(folder: Path | None = None) -> list[SlurmJob]:
    """Every job that Slurm remembers (MinJobAge); those submitted from a working folder, where one is given."""
    command = ["squeue", "--states=all", "--array", "--noheader", "--format=%i|%T|%C|%m|%P|%k|%Z"]
    asked = subprocess.run(command, capture_output=True, text=True, check=True)
    jobs = []
    for line in asked.stdout.splitlines():
        number, state, processors, memory, partition, comment, working = line.strip().split("|", 6)
        if folder is None or working == str(folder):
            jobs.append(SlurmJob(number, state, int(processors), memory, partition, comment, working))
    return jobs
