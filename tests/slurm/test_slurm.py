"""Part of the pocket study through profiles/slurm on a running Slurm: the numbers are those of a local run.

A few minutes; skipped where there is no Slurm. Without one: ../shared/slurm/start.sh --nodes 2 (docs/slurm.md).
On a cluster of several machines: --basetemp=FOLDER on a file system that they share.
"""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.builders.workflow import POCKET, snakemake_command

pytestmark = pytest.mark.slurm
THREADS = 2


@pytest.fixture(scope="module")
def slurm() -> None:
    """Skips where no job could be submitted."""
    if shutil.which("sbatch") is None:
        pytest.skip("no sbatch on this machine")
    try:
        asked = subprocess.run(["sinfo", "--noheader"], capture_output=True, text=True, timeout=30)
    except subprocess.TimeoutExpired:
        pytest.skip("Slurm's controller does not answer")
    if asked.returncode != 0 or not asked.stdout.strip():
        pytest.skip(f"Slurm's controller does not answer: {asked.stderr.strip() or 'no partition'}")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One task, two models and one student of the pocket study; training jobs ask for two threads."""
    config: dict[str, Any] = yaml.safe_load(POCKET.read_text(encoding="utf-8"))
    config["tasks"] = {"ner": config["tasks"]["ner"]}
    config["teachers"]["choices"] = {"ner": "beto-cased"}
    del config["models"]["albeto-base"], config["distillation"]["students"]["albeto-base-2"]
    del config["ablation"]
    config["hardware"] = {"training": {"threads": THREADS}}
    path = tmp_path_factory.mktemp("study") / "study.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def local(slurm: None, project: Path, study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a run without Slurm."""
    folder = tmp_path_factory.mktemp("local")
    return finished(
        [*snakemake_command(project, study, folder), "--", "results/summary.csv"], project, folder
    )


@pytest.fixture(scope="module")
def earlier(slurm: None) -> set[str]:
    """Numbers of the jobs that Slurm knew before ours."""
    return {number for number, *_ in queue()}


@pytest.fixture(scope="module")
def remote(earlier: set[str], project: Path, study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a run through the profile."""
    folder = tmp_path_factory.mktemp("slurm")
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(project / "Snakefile")]
    command += ["--configfile", str(study), "--workflow-profile", str(project / "profiles" / "default")]
    command += ["--profile", str(project / "profiles" / "slurm"), "--directory", str(folder)]
    return finished([*command, "--", "results/summary.csv"], project, folder)


def finished(command: list[str], project: Path, folder: Path) -> Path:
    """Run Snakemake to its end; the results folder."""
    done = subprocess.run(command, capture_output=True, text=True, cwd=project)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-5000:]
    return folder / "results"


def test_the_summary_is_that_of_a_local_run(local: Path, remote: Path) -> None:
    tables = []
    for results in (local, remote):
        with (results / "summary.csv").open(encoding="utf-8", newline="") as handle:
            tables.append(list(csv.DictReader(handle)))
    assert len(tables[0]) == 4  # two fine-tuned, one distilled, the baseline
    assert tables[0] == tables[1]


def test_every_test_score_is_that_of_a_local_run(local: Path, remote: Path) -> None:
    shards = sorted(path.relative_to(local) for path in (local / "scores").rglob("*.json"))
    assert shards
    for shard in shards:
        first, second = (
            [(s["model"], s["task"], s["metrics"], s["intervals"]) for s in json.loads(text)["scores"]]
            for text in ((root / shard).read_text(encoding="utf-8") for root in (local, remote))
        )
        assert first == second, shard


def test_jobs_were_slurms_and_had_their_threads(earlier: set[str], remote: Path) -> None:
    """Finished jobs stay in the queue's memory (MinJobAge), with their processors and the rule in the comment."""
    training = {
        int(processors)
        for number, processors, comment in queue()
        if "finetune_model" in comment and number not in earlier
    }
    assert training == {THREADS}


def queue() -> list[list[str]]:
    """Number, processors and comment of every job that Slurm remembers."""
    command = ["squeue", "--states=all", "--noheader", "--format=%i|%C|%k"]
    asked = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line.strip().split("|", 2) for line in asked.stdout.splitlines()]
