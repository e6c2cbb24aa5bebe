"""workflow/bin with commands of Slurm that are made up; needs no Slurm."""

from __future__ import annotations

import base64
import importlib.machinery
import importlib.util
import io
import json
import subprocess
import sys
import zlib
from pathlib import Path
from types import ModuleType

import pytest

SUBMIT = ["--parsable", "--job-name", "run", "--comment", "rule_a"]
BUSY = "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"


@pytest.fixture
def sbatch(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The program as a module, in an empty folder, hardly waiting."""
    path = project / "workflow/bin/sbatch"
    loader = importlib.machinery.SourceFileLoader("patient_sbatch", str(path))
    spec = importlib.util.spec_from_loader("patient_sbatch", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader.exec_module(module)
    monkeypatch.setattr(module, "FIRST_WAIT", 0.01)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{path.parent}:{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    return module


def command(name: str, script: str) -> None:
    """A command in the working folder, which counts its calls."""
    Path(name).write_text(f"#!/bin/sh\necho x >> {name}.calls\ncalls=$(wc -l < {name}.calls)\n{script}\n")
    Path(name).chmod(0o755)


def calls(name: str) -> int:
    path = Path(f"{name}.calls")
    return len(path.read_text().splitlines()) if path.exists() else 0


def submit(sbatch: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["sbatch", *SUBMIT, *arguments])
    return int(sbatch.main())


def test_what_will_never_succeed_fails_at_once(
    sbatch: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command("sbatch", "echo 'sbatch: error: invalid partition specified: x' >&2; exit 3")
    assert submit(sbatch, monkeypatch) == 3
    assert (
        calls("sbatch") == 1 and capsys.readouterr().err == "sbatch: error: invalid partition specified: x\n"
    )


@pytest.mark.parametrize("message", [BUSY, "sbatch: error: QOSMaxSubmitJobPerUserLimit"])
def test_a_refused_job_is_submitted_again(
    sbatch: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], message: str
) -> None:
    command("sbatch", f"[ $calls -gt 2 ] && echo 17 && exit; echo '{message}' >&2; exit 1")
    command("squeue", "exit 0")
    assert submit(sbatch, monkeypatch) == 0
    assert calls("sbatch") == 3 and capsys.readouterr().out == "17\n"
    assert message in Path(".snakemake/slurm_logs/submission.log").read_text()


def test_a_job_that_was_taken_although_the_answer_was_lost_is_not_submitted_again(
    sbatch: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor while the controller is silent: it may find the first submission later."""
    command("sbatch", f"echo '{BUSY}' >&2; exit 1")
    old, other, ours = "11|N/A|2020-01-01T00:00:00|rule_a", "12|N/A|$now|rule_b", "13|N/A|$now|rule_a"
    command(
        "squeue",
        f'[ $calls -gt 2 ] || exit 1\nnow=$(date +%Y-%m-%dT%H:%M:%S)\nprintf \'%s\\n\' "{old}" "{other}" "{ours}"',
    )
    assert submit(sbatch, monkeypatch) == 0
    assert (calls("sbatch"), calls("squeue"), capsys.readouterr().out) == (1, 3, "13\n")


def test_of_two_arrays_of_a_rule_the_one_with_the_same_tasks_is_found(
    sbatch: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command("sbatch", f"echo '{BUSY}' >&2; exit 1")
    command(
        "squeue", 'now=$(date +%Y-%m-%dT%H:%M:%S)\necho "13|1-20|$now|rule_a"\necho "14|21-40|$now|rule_a"'
    )
    assert submit(sbatch, monkeypatch, "--array=21-40") == 0
    assert capsys.readouterr().out == "14\n"


def test_each_task_of_an_array_runs_its_own_command(
    sbatch: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("sbatch", 'echo "$@" > arguments; cat > script; echo 17')
    packed = {"22": zlib.compress(b"echo second 'a b'").hex(), "23": zlib.compress(b"echo third").hex()}
    payload = base64.b64encode(json.dumps(packed).encode()).decode()
    assert submit(sbatch, monkeypatch, "--array=21-23", f"--wrap=echo first{sbatch.TASKS}{payload}") == 0
    assert "--wrap" not in Path("arguments").read_text()
    assert Path("script").read_text().splitlines() == [
        "#!/bin/sh",
        'case "$SLURM_ARRAY_TASK_ID" in',
        "21) echo first ;;",
        "22) echo second 'a b' ;;",
        "23) echo third ;;",
        "esac",
    ]


@pytest.mark.parametrize(
    ("answers", "asked", "expected"),
    [
        ("echo '17|RUNNING'", ["--name", "run"], (0, "17|RUNNING\n")),
        (
            "echo 'accounting storage is disabled' >&2; exit 1",
            ["-X", "--name", "run"],
            (0, "squeue of run\n"),
        ),
        ("exit 1", ["-j", "17", "-n"], (1, "")),
    ],
)
def test_squeue_answers_where_there_is_no_accounting_database(
    sbatch: ModuleType, project: Path, answers: str, asked: list[str], expected: tuple[int, str]
) -> None:
    command("sacct", answers)
    command("squeue", 'echo "squeue of $5"')
    done = subprocess.run([project / "workflow/bin/sacct", *asked], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == expected


def test_without_slurm_the_message_says_so(
    sbatch: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(Path.cwd()))
    assert submit(sbatch, monkeypatch) == 127
    assert "Slurm is not installed" in capsys.readouterr().err
