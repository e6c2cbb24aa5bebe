"""`ligero status` beside a run of the workflow: while it lives, after it was killed, and after the next one ended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from ligero.command.systems import study_of
from ligero.reporting.progress import Progress
from tests.builders.workflow import POCKET, snakemake_command

pytestmark = pytest.mark.slow


def test_a_run_is_seen_alive_killed_and_ended(project: Path, tmp_path: Path) -> None:
    command = [*snakemake_command(project, POCKET, tmp_path), "--", "results/corpus/statistics.json"]
    results = tmp_path / "results"

    def progress() -> Progress:
        return Progress(study_of(results), results, project)

    def states() -> dict[str, str]:
        return {one.job.label: one.state for one in progress().jobs}

    run = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    while not list((results / "state/runs").glob("*.json")) or states()["generate_study"] == "waiting":
        assert run.poll() is None, "the run ended before it was seen"
        time.sleep(0.1)
    seen = progress()
    assert (seen.run.state, seen.run.locked) == ("running", False)
    assert seen.run.note and seen.run.note.pid == run.pid
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    killed = progress()
    assert (killed.run.state, killed.run.locked) == ("killed", True)
    assert "running" not in {one.state for one in killed.jobs}
    subprocess.run(command, check=True, capture_output=True)
    ended = progress()
    assert (ended.run.state, ended.run.locked) == ("ended", False)
    assert (states()["generate_study"], states()["clean_corpus"], states()["train_tokenizer albeto"]) == (
        "done",
        "done",
        "waiting",
    )
