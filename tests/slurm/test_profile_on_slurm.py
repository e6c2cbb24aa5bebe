"""profiles/slurm on a running Slurm with jobs that only write files: about a minute; skipped where there is no Slurm."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.builders.slurm import SlurmJob, controller, slurm_jobs, why_no_slurm

pytestmark = pytest.mark.slurm
PATIENCE = 300
"""Seconds after which a test fails rather than waits."""
SNAKEFILE = """
rule all:
    input: expand("out/finetuned-{i}", i=range(4)), expand("out/distilled-{i}", i=range(2)), "out/gpu"

rule finetune_model:
    output: "out/finetuned-{i}"
    resources: mem_mb=lambda wc, attempt: 100 * attempt, runtime=lambda wc, attempt: attempt
    shell:
        "echo {resources.mem_mb} ${{SLURM_ARRAY_JOB_ID:+${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID}} >> attempts-{wildcards.i}; "
        "if [ $(wc -l < attempts-{wildcards.i}) = 1 ]; then "
        "case {wildcards.i} in 1) kill -9 $$;; 2) sleep 300;; esac; fi; "
        "touch {output}"

rule cache_logits:
    input: expand("out/finetuned-{i}", i=range(4))
    output: "out/gpu"
    resources: gpu=1
    shell: "echo $CUDA_VISIBLE_DEVICES > {output}"

rule distill_student:
    input: expand("out/finetuned-{i}", i=range(4))
    output: "out/distilled-{i}"
    shell: "touch {output}"
"""


@pytest.fixture(scope="module")
def folder(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workflow of which one job is killed, one cancelled, and whose last jobs are submitted to a controller that does not answer."""
    if reason := why_no_slurm():
        pytest.skip(reason)
    place = tmp_path_factory.mktemp("profile")
    (place / "Snakefile").write_text(SNAKEFILE)
    profile = project / "profiles/slurm"
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--profile",
        str(profile),
        "--workflow-profile",
        str(project / "profiles/default"),
    ]
    command += ["--slurm-partition-config", str(profile / "partitions.yaml"), "--latency-wait", "5"]
    command += [
        "--slurm-init-seconds-before-status-checks",
        "1",
        "--seconds-between-status-checks",
        "1",
        "--max-status-checks-per-second",
        "1",
    ]
    environment = {
        **os.environ,
        "PATH": f"{project}/workflow/bin:{stopping_sbatch(place)}:{os.environ['PATH']}",
    }
    with (place / "log").open("w") as log:
        running = subprocess.Popen(command, cwd=place, env=environment, stdout=log, stderr=log)
        try:
            wait_for(running, (place / ".snakemake/slurm_logs/submission.log").exists)
            os.kill(controller_of(place), signal.SIGCONT)
            wait_for(running, (place / "attempts-2").exists)
            subprocess.run(["scancel", (place / "attempts-2").read_text().split()[1]], check=True)
            assert running.wait(timeout=PATIENCE) == 0, (place / "log").read_text()[-3000:]
        finally:
            running.kill()
            os.kill(controller_of(place), signal.SIGCONT)
    return place


def stopping_sbatch(place: Path) -> Path:
    """A folder with an sbatch that stops the controller before it submits its first job.

    A signal sent from here might come after the submission: then no job would ever be submitted to a stopped controller.
    """
    (place / "controller").write_text(str(controller()))
    folder = place / "bin"
    folder.mkdir()
    script = folder / "sbatch"
    first = f"mkdir {place}/stopped 2>/dev/null && kill -STOP {controller_of(place)}"
    script.write_text(f'#!/bin/sh\n{first}\nexec {shutil.which("sbatch")} "$@"\n')
    script.chmod(0o755)
    return folder


def controller_of(place: Path) -> int:
    """The process of slurmctld, asked for while it still answered."""
    return int((place / "controller").read_text())


def wait_for(running: subprocess.Popen[bytes], condition: Callable[[], bool]) -> None:
    """Until something has happened; fails where Snakemake has ended or too much time has passed."""
    until = time.monotonic() + PATIENCE
    while not condition():
        assert running.poll() is None, "Snakemake ended"
        assert time.monotonic() < until, f"not within {PATIENCE} s"
        time.sleep(0.2)


def of_this_run(folder: Path) -> list[SlurmJob]:
    """The folder's jobs, without those of earlier runs of the test."""
    first = int((folder / "attempts-0").read_text().split()[1].split("_")[0])
    return [job for job in slurm_jobs(folder) if int(job.id.split("_")[0]) >= first]


def memory(folder: Path, job: int) -> list[int]:
    """MB of each attempt."""
    return [int(line.split()[0]) for line in (folder / f"attempts-{job}").read_text().splitlines()]


def test_killed_and_cancelled_jobs_run_again_with_more_memory(folder: Path) -> None:
    assert [memory(folder, job) for job in range(4)] == [[100], [100, 200], [100, 200], [100]]


def test_jobs_of_a_grid_are_tasks_of_one_array(folder: Path) -> None:
    jobs = [job for job in of_this_run(folder) if job.comment.startswith("rule_finetune_model")]
    first = min(int(job.id.split("_")[0]) for job in jobs)
    assert {job.id for job in jobs} >= {f"{first}_{task}" for task in (1, 2, 3, 4)}


def test_a_controller_that_does_not_answer_gets_each_job_once(folder: Path) -> None:
    assert "trying again in 5 s" in (folder / ".snakemake/slurm_logs/submission.log").read_text()
    jobs = of_this_run(folder)
    count = {
        rule: len([job for job in jobs if job.comment.startswith(f"rule_{rule}")])
        for rule in ("finetune_model", "distill_student")
    }
    assert count == {"finetune_model": 4 + 2, "distill_student": 2}


def test_a_job_that_asks_for_a_gpu_goes_to_the_partition_that_has_them(folder: Path) -> None:
    assert (folder / "out/gpu").read_text().strip() in ("0", "1")
    partitions = {job.comment.split("_wildcards")[0]: job.partition for job in of_this_run(folder)}
    assert partitions == {
        "rule_finetune_model": "cpu",
        "rule_distill_student": "cpu",
        "rule_cache_logits": "gpu",
    }
