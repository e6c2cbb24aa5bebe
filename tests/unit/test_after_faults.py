"""What a person reads after a fault, and what the next run clears up by itself."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ligero.common import files, run_end
from ligero.common.errors import run_program
from ligero.common.files import FullDiskError, atomic_directory, atomic_path, remove_temporaries, write_text
from ligero.common.records import DamagedError
from ligero.common.run_end import failures
from ligero.common.run_start import LOCKS, OWNER, release_dead_lock
from ligero.reporting.artefact_digests import verify_results
from ligero.settings.sources import GENERATED, Source
from ligero.sources.checksums import SourcesLock, check_sources
from ligero.synthetic.generator import generate

HOST = files._HOST


def ended_process() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


# --- what killed writers leave -----------------------------------------------------------------------------------------------


def test_temporaries_of_dead_writers_are_removed_and_no_others(tmp_path: Path) -> None:
    dead, below = ended_process(), tmp_path / "models" / "m"
    below.mkdir(parents=True)
    for name in (f".a.json.{HOST}.{dead}.abcd_123", f"models/.b.{HOST}.{dead}.01234567"):
        (tmp_path / name).write_text("half")
    folder = below / f".best.{HOST}.{dead}.zyxwvuts"
    folder.mkdir()
    (folder / "model.safetensors").write_text("half")
    kept = [
        tmp_path / f".a.json.{HOST}.{os.getpid()}.abcd_123",  # it is being written
        tmp_path / f".a.json.another-host.{dead}.abcd_123",  # who knows
        tmp_path / ".published.bin.part",  # a download resumes from it
        tmp_path / ".a.json.guard",
        below / "a.json",
    ]
    for path in kept:
        path.write_text("whole")
    week_old = tmp_path / f".a.json.another-host.{dead}.12345678"
    week_old.write_text("half")
    os.utime(week_old, (time.time() - 8 * 86_400,) * 2)
    assert remove_temporaries(tmp_path) == 4
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)


def test_what_a_killed_writer_leaves_is_known_as_such(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; "
        "from ligero.common.files import atomic_path, atomic_directory\n"
        "with atomic_path(Path(sys.argv[2], 'a.json')) as one, atomic_directory(Path(sys.argv[2], 'b')) as other:\n"
        "    one.write_text('half'); (other / 'x').write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    workflow = str(Path(files.__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", program, workflow, str(tmp_path)])
    assert done.returncode == -signal.SIGKILL and len(list(tmp_path.iterdir())) == 2
    assert remove_temporaries(tmp_path) == 2 and list(tmp_path.iterdir()) == []


@pytest.mark.skipif(
    not Path("/proc/self/stat").is_file(), reason="only Linux says that a process is a zombie"
)
def test_a_killed_writer_that_nobody_has_waited_for_is_dead(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    try:
        assert writer.stdout and writer.stdout.read() == b""
        os.waitid(os.P_PID, writer.pid, os.WEXITED | os.WNOWAIT)
        (tmp_path / f".a.json.{HOST}.{writer.pid}.abcd_123").write_text("half")
        assert remove_temporaries(tmp_path) == 1
    finally:
        writer.wait()


# --- locks ------------------------------------------------------------------------------------------------------------------

HOLDER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from ligero.common.run_start import begin_run
begin_run(Path("results"))
print("running", flush=True)
time.sleep(100)
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """A run in progress in the working folder, with Snakemake's lock."""
    monkeypatch.chdir(tmp_path)
    LOCKS.mkdir(parents=True)
    (LOCKS / "0.output.lock").write_text("results/a\n")
    command = [sys.executable, "-c", HOLDER, str(Path(files.__file__).parents[2])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout and process.stdout.readline() == b"running\n"
    yield process
    process.kill()
    process.communicate()


def test_the_lock_of_a_run_stays_until_it_is_dead(run: subprocess.Popen[bytes]) -> None:
    assert not release_dead_lock() and list(LOCKS.iterdir())
    run.kill()
    run.wait()
    assert release_dead_lock() and not LOCKS.exists()
    assert not release_dead_lock()


def test_the_lock_of_a_run_that_has_not_begun_stays(run: subprocess.Popen[bytes]) -> None:
    """Another run has taken it since, or is on another machine."""
    run.kill()
    run.wait()
    later = OWNER.stat().st_mtime_ns + 10**9
    os.utime(LOCKS / "0.output.lock", ns=(later, later))
    assert not release_dead_lock() and list(LOCKS.iterdir())
    os.utime(LOCKS / "0.output.lock", ns=(1, 1))
    OWNER.write_text("another-machine 1\n")
    assert not release_dead_lock() and list(LOCKS.iterdir())
    OWNER.write_text(f"{socket.gethostname()} 1\n")
    assert release_dead_lock()


def test_a_lock_of_nobody_known_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert not release_dead_lock()
    LOCKS.mkdir(parents=True)
    (LOCKS / "0.output.lock").write_text("results/a\n")
    assert not release_dead_lock() and list(LOCKS.iterdir())


# --- how jobs ended ----------------------------------------------------------------------------------------------------------

KILLED = """\
RuleException:
CalledProcessError in file "/p/rules/finetune.smk", line 42:
Command 'set -euo pipefail;  python $PROGRAMS/finetune.py --out x &> logs/a.log' returned non-zero exit status 137.
Error in rule finetune_model:
    log: logs/a.log (check log file(s) for error details)
Logfile logs/a.log:
=====
epoch 1
=====
CalledProcessError in file "/p/rules/datasets.smk", line 4:
Command 'set -euo pipefail;  python $PROGRAMS/prepare_task.py &> logs/b.log && { grep x logs/b.log >&2 || true; }' died with <Signals.SIGTERM: 15>.
Logfile logs/b.log: empty file
Command 'set -euo pipefail;  python $PROGRAMS/x.py &> logs/c.log' returned non-zero exit status 2.
Logfile logs/c.log:
=====
error: c.csv:3: wrong.
=====
Command 'set -euo pipefail;  python $PROGRAMS/x.py &> logs/d.log' returned non-zero exit status 1.
Logfile logs/d.log: empty file
Error in rule pretrain_model:
    message: SLURM-job '17' failed, SLURM status is: 'OUT_OF_MEMORY'. For further error details see the cluster log.
    jobid: 3
    log: logs/e.log (check log file(s) for error details), /s/17.log (check log file(s) for error details)
Logfile logs/e.log:
=====
step 5
=====
"""


def test_a_killed_job_says_by_what_and_why_that_is() -> None:
    found = list(failures(KILLED))
    assert [message.split(": ")[1] for message in found] == [f"logs/{job}.log" for job in "ab"] + [
        "c.csv:3",
        "logs/d.log",
        "logs/e.log",
    ]
    assert "killed by SIGKILL, usually for want of memory" in found[0] and "--cores" in found[0]
    assert "killed by SIGTERM, usually at its time limit" in found[1] and "runtime_minutes" in found[1]
    assert all("run the same command" in found[place] for place in (0, 1, 4))
    assert found[3].endswith("the job stopped unexpectedly: it wrote nothing")
    assert "status OUT_OF_MEMORY of Slurm, usually for want of memory" in found[4]


# --- disks -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("I/O error: No space left on device (os error 28)"),  # safetensors
    ],
)
def test_a_full_disk_says_what_did_not_fit_and_that_the_rest_is_safe(
    tmp_path: Path, error: Exception
) -> None:
    write_text(tmp_path / "model.bin", "old")
    with pytest.raises(FullDiskError) as caught, atomic_path(tmp_path / "model.bin") as temporary:
        temporary.write_bytes(bytes(123_456))
        raise error
    said = str(caught.value)
    assert said.startswith(
        f"{tmp_path / 'model.bin'}: No space left on device: it needs more than the 123,456 bytes"
    )
    assert "What is finished is safe" in said and "run the same command" in said
    assert (tmp_path / "model.bin").read_text() == "old" and len(list(tmp_path.iterdir())) == 1
    with (
        pytest.raises(FullDiskError, match="more than the 5 bytes"),
        atomic_directory(tmp_path / "best") as folder,
    ):
        (folder / "x").write_bytes(bytes(5))
        raise error


def test_a_library_that_does_not_say_why_it_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch: `PytorchStreamWriter failed writing file`; then the disk is asked."""
    for is_full in (False, True):
        monkeypatch.setattr(files, "is_full", lambda folder, answer=is_full: answer)
        with pytest.raises(FullDiskError if is_full else RuntimeError), atomic_path(tmp_path / "a"):
            raise RuntimeError("failed writing file")


def test_a_run_says_at_its_end_that_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_end._explain([], tmp_path / "results")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(run_end, "is_full", lambda folder: folder == tmp_path)
    run_end._explain([], tmp_path / "results")
    said = capsys.readouterr().err
    assert (
        said.startswith(f"\nerror: {tmp_path}: No space left on device; ")
        and "What is finished is safe" in said
    )


def test_an_error_of_a_write_names_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        with atomic_path(tmp_path / "a"):
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(SystemExit):
        run_program(main)
    assert capsys.readouterr().err == (
        f"error: {tmp_path / 'a'}: Input/output error. The disk, or the server of a network file system, failed. "
        "Once it works, run the same command. What is finished is safe.\n"
    )


FULL = "results/config.json: No space left on device: it needs more than the 28,672 bytes that were written of it; 0 bytes and 9 files are free there."
OUTSIDE = {
    f'FullDiskError in file "rules/common.smk", line 79:\n{FULL}\n  File "rules/common.smk", line 94': FULL,
    "Traceback (most recent call last):\n\nOSError: [Errno 28] No space left on device: 'results/logs/a.log'\n": (
        "results/logs/a.log: No space left on device. The disk is full, or allows no further files. "
        "Free space, or put results_dir elsewhere, and run the same command. What is finished is safe."
    ),
    "Traceback (most recent call last):\n\nOSError: [Errno 28] No space left on device\n\n": (
        "FOLDER: No space left on device. The disk is full, or allows no further files. "
        "Free space, or put results_dir elsewhere, and run the same command. What is finished is safe."
    ),
    "[Errno 2] No such file or directory\n\nOSError: [Errno 28] No space left on device: 'results/logs/a.log'\n": (
        "results/logs/a.log: No space left on device. The disk is full, or allows no further files. "
        "Free space, or put results_dir elsewhere, and run the same command. What is finished is safe."
    ),
    "FileNotFoundError: [Errno 2] No such file or directory: '/data/a/.snakemake/locks/0.input.lock'\n": (
        "/data/a: another run in this folder ended while this one began. Run the same command again."
    ),
    "OSError in file \"rules/common.smk\", line 79:\n[Errno 30] Read-only file system: 'results/.a.guard'": (
        "results/.a.guard: Read-only file system. Once it can be written, run the same command. What is finished is safe."
    ),
    'WorkflowError in rule a in file "a.smk", line 4:\nOutput results/a has older modification time (2026-11-28 07:45:26) than input '
    "results/b (2026-11-29 07:32:36). This could indicate a clock skew problem": (
        "results/a: it was just made, and is older than its input results/b: the clock of this machine, or of the file server, went back. "
        "Correct it, then: find RESULTS -newermt now -exec touch {} + (RESULTS is the results folder), and the same command."
    ),
    "LockException:\nError: Directory cannot be locked. Please make sure that no other Snakemake process is trying to create the same files "
    "in the following directory:\n/data/my study\nIf you are sure": (
        "/data/my study: another run works in this folder, or one was killed there. Where none runs: the same command with --unlock, once, "
        "then without it."
    ),
    "MissingInputException in rule a:\nMissing input files": None,
}


@pytest.mark.parametrize(("said", "expected"), OUTSIDE.items())
def test_what_the_system_did_to_a_run_is_explained_in_its_last_line(said: str, expected: str | None) -> None:
    assert run_end.explanation(said, Path("FOLDER")) == expected


def test_errors_of_snakemakes_logger_are_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    registered: list[tuple[object, ...]] = []
    monkeypatch.setattr(run_end.atexit, "register", lambda *call: registered.append(call))
    logger = logging.getLogger("of a workflow")
    run_end.explain_at_exit(logger, tmp_path)
    logger.warning("[Errno 5] Input/output error: 'a'")
    logger.error("[Errno 30] Read-only file system: 'b'")
    ((say, *arguments),) = registered
    assert callable(say)
    say(*arguments)
    assert capsys.readouterr().err.startswith("\nerror: b: Read-only file system. Once it can be written")


def test_a_folder_whose_replacement_fails_is_what_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with atomic_directory(tmp_path / "best") as folder:
        (folder / "x").write_text("old")
    rename, calls = Path.rename, []

    def failing(self: Path, target: Path) -> Path:
        calls.append(self)
        if len(calls) == 2:
            raise OSError(errno.EIO, "Input/output error", str(self))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="best"), atomic_directory(tmp_path / "best") as folder:
        (folder / "x").write_text("new")
    assert (tmp_path / "best" / "x").read_text() == "old" and len(list(tmp_path.iterdir())) == 1


# --- sources -----------------------------------------------------------------------------------------------------------------


def test_sources_are_compared_before_they_are_read(tmp_path: Path) -> None:
    generate(tmp_path / "generated" / "embedded", seed=1, scale=0.01)
    name = "embedded/conll2002/esp.train"
    (tmp_path / "sources" / name).parent.mkdir(parents=True)
    content = (tmp_path / "generated" / name).read_bytes()
    (tmp_path / "sources" / name).write_bytes(content)
    (tmp_path / "sources" / "mine.txt").write_bytes(b"mine")
    mine, made = Source(path="mine.txt"), Source(path=name, generated=True)
    check_sources({"mine": mine, "made": made}, tmp_path)  # nobody knows what `mine` has to be
    SourcesLock(tmp_path / "sources.lock.json").record("mine", mine, "0" * 64, 4, {})
    with pytest.raises(DamagedError, match=r"mine\.txt: it was changed after it was fetched.*Delete it"):
        check_sources({"mine": mine}, tmp_path)
    (tmp_path / "sources" / name).write_bytes(content.replace(b"O", b"P", 1))
    with pytest.raises(DamagedError, match=r"esp\.train: .*--forcerun generate_study"):
        check_sources({"made": made}, tmp_path)
    (tmp_path / "sources" / name).write_bytes(content)
    (tmp_path / "generated" / "embedded" / GENERATED).write_text("{}")
    with pytest.raises(DamagedError, match=rf"{GENERATED}.*--forcerun generate_study"):
        check_sources({"made": made}, tmp_path)


def test_a_verification_compares_what_was_generated_and_its_copies(tmp_path: Path) -> None:
    generate(tmp_path / "generated" / "embedded", seed=1, scale=0.01)
    name = "embedded/conll2002/esp.train"
    (tmp_path / "sources" / name).parent.mkdir(parents=True)
    shutil.copyfile(tmp_path / "generated" / name, tmp_path / "sources" / name)
    assert verify_results(tmp_path).findings == []
    for folder in ("generated", "sources"):
        content = (tmp_path / folder / name).read_bytes()
        (tmp_path / folder / name).write_bytes(content[:-1])
        assert [finding.path for finding in verify_results(tmp_path).findings] == [tmp_path / folder / name]
        (tmp_path / folder / name).write_bytes(content)


def test_an_error_has_its_line_where_a_progress_bar_is_open(project: Path) -> None:
    """At the end of the bar's line a run did not find it, and said what the bar had said."""
    code = (
        "from ligero.common.errors import DataError, run_program\n"
        "from ligero.common.progress import progress\n"
        "def read():\n"
        "    with progress(total=3, label='reading') as bar:\n"
        "        yield 1\n"
        "def main():\n"
        "    reader = read()\n"
        "    next(reader)\n"
        "    raise DataError('a.txt', 2, 'is wrong.')\n"
        "run_program(main)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project / "workflow", capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "error: a.txt:2: is wrong." in done.stderr.splitlines()
