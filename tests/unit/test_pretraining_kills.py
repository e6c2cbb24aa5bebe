"""Pretraining ended from outside: kill -9 at random places, signals, a full disk, damaged checkpoints. It goes on to the bit."""

from __future__ import annotations

import errno
import os
import random
import resource
import signal
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from ligero.common import file_locks
from ligero.common.file_locks import file_lock
from ligero.training import checkpoints
from ligero.training.checkpoints import Checkpoints
from tests.builders.pretraining import STEPS, Folders, lines, prepared, same, train
from tests.builders.processes import run_child, signal_at

pytestmark = pytest.mark.slow

KILLS = 10
PASSES = 2 * STEPS
"""Of a run: each step accumulates two micro batches."""
SEED = 20261122


def test_killed_at_ten_random_places_and_continued(folders: Folders, tmp_path: Path, whole: Path) -> None:
    places = sorted(random.Random(SEED).sample(range(1, PASSES + 1), KILLS))
    print(f"seed {SEED}: killed in forward passes {places}")
    for at in places:
        place = tmp_path / str(at)
        assert run_child(folders, place, signal_at(at)) == -signal.SIGKILL
        assert not (place / "out").exists()
        assert train(folders, place, total_steps=STEPS)
        assert same(whole, place), f"killed in forward pass {at}"


def test_one_run_killed_ten_times_over(folders: Folders, tmp_path: Path) -> None:
    """With rounding of its own (AdamW, short rows); each life ends before, in or after a checkpoint."""
    values: dict[str, Any] = {"optimizer": "adamw", "total_steps": 30, "short_sequence_probability": 0.5}
    assert train(folders, tmp_path / "whole", **values)
    generator, lives = random.Random(SEED), []
    for _ in range(KILLS):
        lives.append(generator.randint(1, 10))
        code = run_child(folders, tmp_path / "killed", signal_at(lives[-1]), **values)
        assert code == -signal.SIGKILL, f"seed {SEED}: lives of {lives} forward passes ended with {code}"
    assert train(folders, tmp_path / "killed", **values)
    assert same(tmp_path / "whole", tmp_path / "killed"), f"seed {SEED}: lives of {lives} forward passes"


@pytest.mark.parametrize("where", ["save", "sha256_file", "write_json", "_remove"])
def test_killed_while_a_checkpoint_is_written(
    folders: Folders, tmp_path: Path, whole: Path, where: str
) -> None:
    """In the third checkpoint: half written, written without its digest, with it, before the old one goes."""

    def spoil() -> None:
        owner: Any = {"save": checkpoints.torch, "_remove": Checkpoints}.get(where, checkpoints)
        original, calls = getattr(owner, where), [0]
        last = 1 if where == "_remove" else 3

        def killing(*arguments: Any) -> Any:
            calls[0] += 1
            if calls[0] == last:
                if where == "save":
                    Path(arguments[1]).write_bytes(b"half")
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments)

        setattr(owner, where, killing)

    assert run_child(folders, tmp_path, spoil) == -signal.SIGKILL
    assert len(list(tmp_path.glob("state/*/checkpoints/step-*.json"))) == (3 if where == "_remove" else 2)
    assert train(folders, tmp_path, total_steps=STEPS)
    assert same(whole, tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("at", [1, 4, 7])
def test_a_signal_writes_a_checkpoint_and_the_run_continues(
    folders: Folders, tmp_path: Path, whole: Path, at: int, number: int
) -> None:
    assert run_child(folders, tmp_path, signal_at(at, number), checkpoint_every=1000) == 75
    assert len(list((tmp_path / "state").glob("*/checkpoints/step-*.pt"))) == 1
    assert not (tmp_path / "out").exists()
    assert train(folders, tmp_path, total_steps=STEPS, checkpoint_every=1000)
    assert same(whole, tmp_path)


def test_a_full_disk_ends_the_run_and_leaves_the_last_good_checkpoint(
    folders: Folders, tmp_path: Path, whole: Path
) -> None:
    """The system refuses to let files grow beyond 20 kB once two checkpoints are written."""

    def spoil() -> None:
        save, calls = Checkpoints.save, [0]
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

        def limited(self: Checkpoints, step: int, state: dict[str, Any]) -> None:
            calls[0] += 1
            if calls[0] == 3:
                resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
            save(self, step, state)

        Checkpoints.save = limited  # type: ignore[method-assign]

    assert run_child(folders, tmp_path, spoil) == 3
    folder = next((tmp_path / "state").glob("*/checkpoints"))
    assert Checkpoints(folder).steps() == [3, 6]
    assert len(list(folder.iterdir())) == 4, "nothing half written is left behind"
    assert train(folders, tmp_path, total_steps=STEPS)
    assert same(whole, tmp_path)


@pytest.mark.parametrize("damaged", [1, 2])
def test_damaged_checkpoints_are_passed_over(
    folders: Folders, tmp_path: Path, whole: Path, damaged: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """The run goes on from the one before; where all are damaged it starts anew."""
    assert run_child(folders, tmp_path, signal_at(15)) == -signal.SIGKILL
    kept = sorted(next((tmp_path / "state").glob("*/checkpoints")).glob("step-*.pt"))
    assert len(kept) == 2
    for path in kept[-damaged:]:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    assert run_child(folders, tmp_path, signal_at(8)) == -signal.SIGKILL
    assert capfd.readouterr().err.count("damaged checkpoint passed over") == damaged
    assert Checkpoints(kept[0].parent).steps() == {1: [3, 6], 2: [3]}[damaged], (
        "new ones stay beside damaged ones"
    )
    assert train(folders, tmp_path, total_steps=STEPS)
    assert same(whole, tmp_path)


def test_two_runs_do_not_share_a_state_folder(
    folders: Folders, tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second waits for the first, then gives up and changes nothing."""
    monkeypatch.setattr(file_locks, "PATIENCE", 0.05)
    with file_lock(tmp_path / "state" / "run.lock"):
        with pytest.raises(file_locks.InUseError, match=r"another process works in .*state"):
            train(folders, tmp_path, total_steps=STEPS)
        assert [path.name for path in (tmp_path / "state").iterdir()] == ["run.lock"]
    assert train(folders, tmp_path, total_steps=STEPS)
    assert same(whole, tmp_path)


def test_a_state_folder_that_knows_no_locks_is_used(
    folders: Folders,
    tmp_path: Path,
    whole: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def unknown(lock: FileLock, **_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(FileLock, "acquire", unknown)
    assert train(folders, tmp_path, total_steps=STEPS)
    assert "cannot be locked" in capsys.readouterr().err
    assert same(whole, tmp_path)


def test_other_settings_start_anew(folders: Folders, tmp_path: Path) -> None:
    run_child(folders, tmp_path, signal_at(10))
    assert train(folders, tmp_path, learning_rate="1e-3")
    assert lines(tmp_path)[0]["event"] == "start"
    assert lines(tmp_path)[1]["learning_rate"] == pytest.approx(5e-4)


def test_settings_that_change_no_weight_do_not_start_anew(folders: Folders) -> None:
    fingerprint = prepared(folders).fingerprint
    assert fingerprint == prepared(folders, sharding="fsdp", tensorboard=True, checkpoint_every=9).fingerprint
    assert fingerprint != prepared(folders, schedule_steps=9).fingerprint
