"""TensorBoard events say what the metrics file says, each step once, through kills and rollbacks."""

from __future__ import annotations

import errno
import signal
from pathlib import Path
from typing import Any

import pytest

from ligero.common.errors import ConfigurationError
from ligero.pretraining import tensorboard as module
from ligero.pretraining.metrics import MetricsFile
from ligero.training.checkpoints import CheckpointError
from tests.builders.pretraining import TIMINGS, Folders, lines, spoiled, train
from tests.builders.processes import run_child, signal_at


def events(folder: Path) -> list[tuple[str, int, float]]:
    """(tag, step, value) of all event files, in the order in which they were written."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted(folder.glob("events.out.tfevents.*")):
        data, place = path.read_bytes(), 0
        while place < len(data):  # a record: length (8 bytes), its checksum (4), the event, its checksum (4)
            length = int.from_bytes(data[place : place + 8], "little")
            event = Event.FromString(data[place + 12 : place + 12 + length])
            found += [(value.tag, event.step, value.simple_value) for value in event.summary.value]
            place += 16 + length
    return found


def expected(place: Path, thrown_away: set[int]) -> dict[tuple[str, int], float]:
    """The numbers of the metrics file, without those of steps that a rollback threw away."""
    values: dict[tuple[str, int], float] = {}
    for line in lines(place):
        kind = line.get("event", "training")
        if kind == "rollback":
            values = {key: value for key, value in values.items() if key[1] not in thrown_away}
        elif kind in ("training", "validation"):
            step = line["step"]
            values |= {
                (f"{kind}/{name}", step): v for name, v in line.items() if name not in ("step", "event")
            }
    return values


def check(place: Path, thrown_away: set[int]) -> None:
    written = [
        entry
        for entry in events(place / "log" / "tensorboard")
        if entry[0].removeprefix("training/") not in TIMINGS
    ]
    keys = [(tag, step) for tag, step, _ in written]
    assert len(keys) == len(set(keys)), "a step stands there twice"
    wanted = expected(place, thrown_away)
    assert set(keys) == set(wanted)
    for tag, step, value in written:
        assert value == pytest.approx(wanted[tag, step], rel=1e-6)


@pytest.mark.slow
def test_a_killed_run_has_each_step_once(folders: Folders, tmp_path: Path) -> None:
    values: dict[str, Any] = {"tensorboard": True, "total_steps": 10}
    assert run_child(folders, tmp_path, signal_at(11), **values) == -signal.SIGKILL
    assert train(folders, tmp_path, **values)
    check(tmp_path, set())
    assert max(step for _, step, _ in events(tmp_path / "log" / "tensorboard")) == 10


def test_a_rollback_takes_its_steps_back(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoiled(monkeypatch, {4}, 1)
    assert train(folders, tmp_path, tensorboard=True, divergence={"on_divergence": "rollback"})
    check(tmp_path, {4, 5})


def test_without_the_package_one_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tensorboardX", None)
    with pytest.raises(ConfigurationError, match="pip install tensorboardX"):
        module.TensorBoard(tmp_path)
    MetricsFile(tmp_path / "metrics.jsonl").close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_events_that_cannot_be_written_do_not_hang_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """tensorboardX's thread ends at a full disk; its queue of ten would then block."""
    metrics = MetricsFile(tmp_path / "metrics.jsonl", tensorboard=True)
    assert metrics.events is not None
    writer = metrics.events._writer.file_writer.event_writer

    def full(event: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writer._ev_writer, "write_event", full)
    metrics.write(step=1, loss=1.0)
    writer._worker.join(20)
    with pytest.raises(CheckpointError, match="TensorBoard's events has ended"):
        metrics.write(step=2, loss=1.0)
    with pytest.raises(CheckpointError, match="metrics could not be written"):
        metrics.close()
