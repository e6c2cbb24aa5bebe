"""Signals wherever they arrive: twice within milliseconds, while a model is evaluated, saved or written. Nothing is lost."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ligero.common.files import FullDiskError
from ligero.pretraining import engine, interruption, run
from ligero.pretraining.engine import Pretrainer
from ligero.training.checkpoints import Checkpoints
from tests.builders.pretraining import STEPS, Folders, same, train
from tests.builders.processes import SHARED, run_child, together

pytestmark = pytest.mark.slow


def signals_in(
    owner: Any, name: str, call: int, *numbers: int, pause: float = 0.01, rank: str | None = None
) -> Callable[[], None]:
    """A trap: at its call number `call` the function sends its process these signals, a few milliseconds apart; of several processes
    only to that of `rank`, where one is given."""

    def spoil() -> None:
        original, calls = getattr(owner, name), [0]

        def signalling(*arguments: Any, **named: Any) -> Any:
            calls[0] += 1
            if calls[0] == call and rank in (None, os.environ.get("RANK")):
                for number in numbers:
                    os.kill(os.getpid(), number)
                    time.sleep(pause)
            return original(*arguments, **named)

        setattr(owner, name, signalling)

    return spoil


def saved(place: Path) -> list[int]:
    return Checkpoints(next((place / "state").glob("*/checkpoints"))).steps()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_comes_twice_asks_once(
    folders: Folders, tmp_path: Path, whole: Path, number: int
) -> None:
    """Slurm signals every process of a job, and torchrun passes on what it gets."""
    trap = signals_in(Pretrainer, "_forward", 5, number, number, number)
    assert run_child(folders, tmp_path, trap, total_steps=STEPS, checkpoint_every=1000) == 75
    assert saved(tmp_path) == [2]
    assert train(folders, tmp_path, total_steps=STEPS, checkpoint_every=1000)
    assert same(whole, tmp_path)


def test_several_processes_outlast_repeated_signals(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pretrainer, "_forward", Pretrainer._forward)  # what the trap sets is taken back
    signals_in(Pretrainer, "_forward", 5, signal.SIGTERM, signal.SIGTERM)()
    assert together(folders, tmp_path, 2, checkpoint_every=1000, **SHARED) == [75, 75]
    assert saved(tmp_path) == [2]


def test_several_processes_begin_no_step_after_a_signal_during_an_evaluation(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "validate", engine.validate)
    signals_in(engine, "validate", 1, signal.SIGTERM)()
    assert together(folders, tmp_path, 2, **SHARED) == [75, 75]
    assert saved(tmp_path) == [3, 4]


@pytest.mark.parametrize(
    ("owner", "name", "call", "expected"), [(Pretrainer, "_forward", 5, [2]), (engine, "validate", 1, [3, 4])]
)
def test_several_processes_stop_together_where_one_gets_a_signal(
    folders: Folders,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    call: int,
    expected: list[int],
) -> None:
    """One that stopped alone would leave the others waiting for its gradients."""
    monkeypatch.setattr(owner, name, getattr(owner, name))
    signals_in(owner, name, call, signal.SIGTERM, rank="1")()
    checkpoints = {} if name == "validate" else {"checkpoint_every": 1000}
    assert together(folders, tmp_path, 2, **checkpoints, **SHARED) == [75, 75]
    assert saved(tmp_path) == expected


def test_an_impatient_second_interrupt_ends_at_once(folders: Folders, tmp_path: Path) -> None:
    def spoil() -> None:
        interruption.IMPATIENCE_SECONDS = 0.001
        signals_in(Pretrainer, "_forward", 5, signal.SIGINT, signal.SIGINT)()

    assert run_child(folders, tmp_path, spoil, checkpoint_every=1000) not in (0, 75)
    assert not list(tmp_path.glob("state/*/checkpoints/*"))


@pytest.mark.parametrize(("name", "expected"), [("validate", [3, 4]), ("_save", [3])])
def test_a_signal_during_an_evaluation_or_a_checkpoint(
    folders: Folders, tmp_path: Path, whole: Path, name: str, expected: list[int]
) -> None:
    owner: Any = engine if name == "validate" else Pretrainer
    trap = signals_in(owner, name, 1, signal.SIGTERM, signal.SIGTERM)
    assert run_child(folders, tmp_path, trap, total_steps=STEPS) == 75
    assert saved(tmp_path) == expected, "no further step was begun"
    assert train(folders, tmp_path, total_steps=STEPS)
    assert same(whole, tmp_path)


def test_a_signal_while_the_results_are_written_changes_nothing(
    folders: Folders, tmp_path: Path, whole: Path
) -> None:
    trap = signals_in(run, "copy_tokenizer", 1, signal.SIGTERM, signal.SIGTERM)
    assert run_child(folders, tmp_path, trap, total_steps=STEPS) == 0
    assert same(whole, tmp_path)


def test_a_model_that_cannot_be_written_costs_no_step(
    folders: Folders, tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(run, "copy_tokenizer", full)
        with pytest.raises(FullDiskError, match="No space"):
            train(folders, tmp_path, total_steps=STEPS)
    assert saved(tmp_path)[-1] == STEPS
    monkeypatch.setattr(Pretrainer, "_step", None)  # all steps are done
    assert train(folders, tmp_path, total_steps=STEPS)
    assert same(whole, tmp_path)
