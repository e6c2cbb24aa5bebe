"""Part of the pocket study through profiles/slurm on a running Slurm: the numbers are those of a local run.

A few minutes; skipped where there is no Slurm. Without one: tests/slurm/cluster.sh start (docs/slurm.md).
On a cluster of several machines: --basetemp=FOLDER on a file system that they share.
"""

from __future__ import annotations

import csv
import json
import subprocess
from pathlib import Path

import pytest

from tests.builders.slurm import profile_command, slurm_jobs, small_study, why_no_slurm, written
from tests.builders.workflow import snakemake_command

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
THREADS = 2


@pytest.fixture(scope="module")
def slurm() -> None:
    """Skips where no job could be submitted."""
    if reason := why_no_slurm():
        pytest.skip(reason)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Training jobs ask for two threads."""
    config = small_study(hardware={"training": {"threads": THREADS}})
    return written(config, tmp_path_factory.mktemp("study") / "study.yaml")


@pytest.fixture(scope="module")
def local(slurm: None, project: Path, study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a run without Slurm."""
    folder = tmp_path_factory.mktemp("local")
    return finished(
        [*snakemake_command(project, study, folder), "--", "results/summary.csv"], project, folder
    )


@pytest.fixture(scope="module")
def remote(slurm: None, project: Path, study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a run through the profile."""
    folder = tmp_path_factory.mktemp("slurm")
    return finished([*profile_command(project, study, folder), "--", "results/summary.csv"], project, folder)


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


def test_jobs_were_slurms_and_had_their_threads(remote: Path) -> None:
    """Finished jobs stay in the queue's memory (MinJobAge), with their processors and the rule in the comment."""
    training = [job for job in slurm_jobs(remote.parent) if "finetune_model" in job.comment]
    assert len(training) >= 2 and {job.processors for job in training} == {THREADS}
