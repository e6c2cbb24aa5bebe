"""Checkpoints: the last few stay, damaged ones are passed over, a full disk leaves the last good one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ligero.training import checkpoints as module
from ligero.training.checkpoints import CheckpointError, Checkpoints


def filled(folder: Path, steps: tuple[int, ...] = (3, 6, 9), keep: int = 2) -> Checkpoints:
    kept = Checkpoints(folder, keep)
    for step in steps:
        kept.save(step, {"weight": torch.full((4,), float(step)), "step": step})
    return kept


def test_the_last_ones_stay(tmp_path: Path) -> None:
    kept = filled(tmp_path)
    assert kept.steps() == [6, 9]
    assert len(list(tmp_path.iterdir())) == 4
    step, state = kept.load_latest() or (0, {})
    assert step == 9 and torch.equal(state["weight"], torch.full((4,), 9.0))
    assert (kept.load_latest(before=9) or (0, {}))[0] == 6
    kept.remove_after(6)
    assert kept.steps() == [6]
    kept.clear()
    assert kept.load_latest() is None and not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing", "description"])
def test_a_damaged_one_falls_back(tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]) -> None:
    kept = filled(tmp_path)
    path = tmp_path / "step-000000009.pt"
    data = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "flipped":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif damage == "missing":
        path.unlink()
    else:
        path.with_suffix(".json").write_text("{")
    assert (kept.load_latest() or (0, {}))[0] == 6
    assert "damaged checkpoint passed over" in capsys.readouterr().err


def test_a_full_disk_leaves_the_last_good_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = filled(tmp_path, (3,))

    def full(state: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.torch, "save", full)
    with pytest.raises(CheckpointError, match="last good one is at step 3"):
        kept.save(6, {})
    monkeypatch.undo()
    assert kept.steps() == [3] and (kept.load_latest() or (0, {}))[0] == 3
    assert len(list(tmp_path.iterdir())) == 2


def test_no_pickled_objects_are_loaded(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path)
    kept.save(1, {"path": Path("x")})
    assert kept.load_latest() is None
