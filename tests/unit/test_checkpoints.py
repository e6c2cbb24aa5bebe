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


def test_a_new_one_is_not_pushed_out_by_damaged_later_ones(tmp_path: Path) -> None:
    kept = filled(tmp_path)
    for path in tmp_path.glob("*.pt"):
        path.write_bytes(b"damaged")
    assert kept.load_latest() is None
    kept.save(3, {"step": 3})
    assert kept.steps() == [3] and kept.load_latest() == (3, {"step": 3})


def test_killed_between_the_two_files_of_one_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever content is there is intact: the old one before it was replaced, the new one after."""
    kept = filled(tmp_path, (3,))
    left = [0]

    def killed(path: Path, described: dict[str, object]) -> None:
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        write_json(path, described)

    write_json = module.write_json
    monkeypatch.setattr(module, "write_json", killed)
    for writes, step in ((0, 3), (1, 30)):
        left[0] = writes
        with pytest.raises(KeyboardInterrupt):
            kept.save(3, {"step": 30})
        assert (kept.load_latest() or (0, {"step": None}))[1]["step"] == step


def test_what_a_kill_left_behind_is_removed(tmp_path: Path) -> None:
    kept = filled(tmp_path)
    (tmp_path / ".step-000000012.pt.a1b2").write_bytes(b"half")
    (tmp_path / "step-000000012.pt").write_bytes(b"whole, not described")
    kept.tidy()
    assert kept.steps() == [6, 9] and len(list(tmp_path.iterdir())) == 4
    assert (kept.load_latest() or (0, {}))[0] == 9
