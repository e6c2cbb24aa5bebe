"""GPUs of one machine among parallel jobs, with devices that are only names."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from ligero.common.gpu_locks import lock_folder, visible_devices
from ligero.settings.hardware import Hardware

HOLD = "import os, sys; print(os.environ['CUDA_VISIBLE_DEVICES'], flush=True); sys.stdin.read()"
"""A job: says its devices and lasts until its standard input is closed."""
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(project: Path, tmp_path: Path) -> Iterator[Start]:
    """Start a job on some of the devices 0 and 1; those still running are ended after the test."""
    running: list[subprocess.Popen[str]] = []

    def started(gpus: str, devices: str = "0,1") -> subprocess.Popen[str]:
        program = project / "workflow/scripts/take_gpus.py"
        command = [
            sys.executable,
            str(program),
            "--locks",
            str(tmp_path / "locks"),
            gpus,
            sys.executable,
            "-S",
            "-c",
            HOLD,
        ]
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": devices}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        running.append(subprocess.Popen(command, text=True, env=environment, **pipes))  # type: ignore[call-overload]
        return running[-1]

    yield started
    for process in running:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    assert select.select([process.stdout], [], [], 60)[0], "it waits for ever"
    return process.stdout.readline().strip()


def waits(process: subprocess.Popen[str]) -> str:
    """What a job says while it waits."""
    assert process.stderr
    return process.stderr.readline()


def test_parallel_jobs_have_a_device_each_and_the_next_one_waits(start: Start) -> None:
    first, second = start("1"), start("1")
    assert {said(first), said(second)} == {"0", "1"}
    third = start("1")
    assert waits(third) == "waiting for 1 of the GPUs 0, 1: other jobs have them\n"
    first.kill()  # locks die with their owner
    first.wait()
    assert said(third) in ("0", "1")


def test_shares_of_a_device_fill_the_least_used_one(start: Start) -> None:
    halves = [start("0.5") for _ in range(4)]
    assert Counter(map(said, halves)) == {"0": 2, "1": 2}
    waits(fifth := start("0.5"))
    waits(whole := start("2"))
    for process in halves:
        process.terminate()
        process.wait()
        if process is halves[0]:
            assert said(fifth) in ("0", "1")
    fifth.terminate()
    assert said(whole) == "0,1"


def test_three_thirds_fit(start: Start) -> None:
    assert [said(start("0.33", devices="7")) for _ in range(3)] == ["7"] * 3
    waits(start("0.33", devices="7"))


def test_a_job_that_waits_holds_nothing(start: Start) -> None:
    assert said(start("0.5", devices="7")) == "7"
    waits(start("1", devices="7"))
    assert said(start("0.5", devices="7")) == "7"


@pytest.mark.parametrize(
    ("gpus", "devices", "expected"),
    [
        ("any", "3,5", "3"),
        ("any", "", ""),
        ("any:2", "3,5,6", "3,5"),
        ("any:4", "3,5,6", ""),
        ("0", "3,5", ""),
        ("2", "GPU-8f1a, MIG-77/1/0", "GPU-8f1a,MIG-77/1/0"),
        ("1", "4,-1", "4"),
    ],
)
def test_only_devices_that_are_given_are_taken(start: Start, gpus: str, devices: str, expected: str) -> None:
    assert said(start(gpus, devices)) == expected


def test_more_than_there_are_is_refused(start: Start) -> None:
    _, errors = start("3").communicate()
    assert errors.startswith(
        "error: 3 GPUs are wanted (gpus in the configuration's section hardware), but CUDA_VISIBLE_DEVICES lists 2: 0, 1."
    )


def test_the_command_keeps_its_exit_status(project: Path, tmp_path: Path) -> None:
    program = [sys.executable, str(project / "workflow/scripts/take_gpus.py"), "--locks", str(tmp_path)]
    assert (
        subprocess.run([*program, "any", sys.executable, "-S", "-c", "raise SystemExit(75)"]).returncode == 75
    )


def test_a_command_that_is_none_is_said(project: Path, tmp_path: Path) -> None:
    program = [sys.executable, str(project / "workflow/scripts/take_gpus.py"), "--locks", str(tmp_path)]
    for arguments, said in (
        (["1"], "no command to start"),
        (["two", "python"], "two: expected a number of GPUs"),
        (["any:all", "python"], "any:all: expected a number of GPUs"),
        (["0", "pyhton"], "error: pyhton: cannot be started: No such file or directory"),
    ):
        done = subprocess.run([*program, *arguments], capture_output=True, text=True)
        assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr


def test_devices_of_the_machine_and_of_a_slurm_job(tmp_path: Path) -> None:
    assert visible_devices({}, tmp_path) is None, "no device file: nobody knows"
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert visible_devices({}, tmp_path) == ["0", "1"]
    assert visible_devices({"CUDA_VISIBLE_DEVICES": "1"}, tmp_path) == ["1"]
    assert visible_devices({"SLURM_JOB_ID": "17"}, tmp_path) == [], "Slurm gave none, whatever the node has"
    assert visible_devices({"SLURM_JOB_ID": "17", "CUDA_VISIBLE_DEVICES": "0"}, tmp_path) == ["0"]
    assert lock_folder({"SLURM_JOB_ID": "17"}) != lock_folder({"SLURM_JOB_ID": "18"}) != lock_folder({})


@pytest.mark.parametrize(
    ("gpus", "devices", "launched", "alone"),
    [(None, 0, "any", "any"), (0, 0, "0", "0"), (1, 1, "1", "1"), (2, 2, "2", "2"), (0.25, 1, "0.25", "1")],
)
def test_what_is_asked_of_a_scheduler_and_of_the_locks(
    gpus: float | None, devices: int, launched: str, alone: str
) -> None:
    hardware = Hardware(gpus=gpus)
    assert hardware.devices == devices
    assert hardware.launcher == f"python $PROGRAMS/take_gpus.py {launched} python"
    assert hardware.launcher_alone == f"python $PROGRAMS/take_gpus.py {alone} python"


def test_every_rule_asks_for_gpus_in_the_same_way(project: Path) -> None:
    """A share of a GPU is none for Snakemake, and a program that is not started by the launcher takes the first device."""
    rules = "".join(path.read_text() for path in (project / "rules").glob("*.smk"))
    assert set(re.findall(r"gpu=(.*),", rules)) == {"STUDY.hardware.training.devices"}
    trains = [
        path for path in (project / "workflow/scripts").glob("*.py") if "use_processor" in path.read_text()
    ]
    assert len(trains) > 5
    assert [path.name for path in trains if f'"python $PROGRAMS/{path.name}' in rules] == []


def test_one_and_a_half_gpus_are_refused() -> None:
    with pytest.raises(
        ValidationError, match=r"1\.5 is neither a whole number of GPUs nor a share of one; write 1 or 2"
    ):
        Hardware(gpus=1.5)
