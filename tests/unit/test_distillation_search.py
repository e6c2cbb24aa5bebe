"""The hyper-parameter search: its space, its pruning, and that a kill costs one trial at most."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest

from ligero.common.errors import MismatchError
from ligero.common.records import DamagedError
from ligero.distillation import search_task
from ligero.distillation.search import (
    LOSSES,
    TEMPERATURES,
    DivergedTrialError,
    Point,
    best_per_loss,
    open_search,
    rows_of,
    run_search,
    summarise,
)
from ligero.reporting.figures.search import draw_importances, draw_slices
from ligero.settings.jobs import search_job
from ligero.settings.load import load_study


def loss_at(point: Point, epoch: int) -> float:
    """A made-up course of training: kl and small alpha are good, and every point improves with the epochs."""
    return LOSSES.index(point.loss) * 0.2 + point.alpha + 0.01 * point.temperature + 1.0 / epoch


class Trainer:
    """Stands for a trial of 9 epochs; dies at the given calls of `report`."""

    def __init__(self, dies_at: set[int] = frozenset()) -> None:  # type: ignore[assignment]
        self.dies_at, self.reports = dies_at, 0

    def __call__(self, point: Point, folder: Path, report: Any) -> float:
        folder.mkdir(parents=True, exist_ok=True)
        for epoch in range(1, 10):
            self.reports += 1
            report(epoch, loss_at(point, epoch))
            if self.reports in self.dies_at:
                raise KeyboardInterrupt
        return loss_at(point, 9)


def opened(folder: Path, digest: str = "x") -> Any:
    return open_search(folder / "search.journal", "toy", digest, max_epochs=9, seed=7)


def outcomes(search: optuna.Study) -> list[dict[str, Any]]:
    """Every trial's row without what differs from run to run: its seconds."""
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows_of(search)]


def test_points_come_from_the_thesis_space_and_bad_ones_are_pruned(tmp_path: Path) -> None:
    search = opened(tmp_path)
    run_search(search, 25, Trainer(), tmp_path)
    rows = rows_of(search)
    assert len(rows) == 25
    for row in rows:
        assert row["loss"] in LOSSES and row["temperature"] in TEMPERATURES
        assert 0 <= row["alpha"] <= 1 and 1e-5 <= row["learning_rate"] <= 1e-4
    pruned = [row for row in rows if row["state"] == "pruned"]
    assert pruned and all(row["epochs"] < 9 for row in pruned)
    best = best_per_loss(rows)
    assert best[0]["validation_loss"] == min(r["validation_loss"] for r in rows if r["state"] == "complete")
    assert len({row["loss"] for row in best}) == len(best)
    assert not list(tmp_path.glob("trial-*"))


def test_a_search_with_one_worker_finds_the_same_again(tmp_path: Path) -> None:
    for name in ("one", "two"):
        run_search(opened(tmp_path / name), 12, Trainer(), tmp_path / name)
    assert outcomes(opened(tmp_path / "one")) == outcomes(opened(tmp_path / "two"))
    assert {"pruned", "complete"} == {row["state"] for row in rows_of(opened(tmp_path / "one"))}


def test_a_killed_worker_loses_its_trial_and_not_the_search(tmp_path: Path) -> None:
    trainer = Trainer(dies_at={3, 20, 31})
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            run_search(opened(tmp_path), 12, trainer, tmp_path)
    run_search(opened(tmp_path), 12, trainer, tmp_path)
    search = opened(tmp_path)
    assert len(rows_of(search)) == 12
    assert len(search.get_trials()) == 15, "three were lost, and none of them is counted"


def test_workers_share_no_trial(tmp_path: Path) -> None:
    """A second worker starts while the first trains trial 0."""
    seen: list[tuple[str, int]] = []

    def second(point: Point, folder: Path, report: Any) -> float:
        seen.append(("second", int(folder.name.rpartition("-")[2])))
        return 0.5

    def first(point: Point, folder: Path, report: Any) -> float:
        seen.append(("first", int(folder.name.rpartition("-")[2])))
        run_search(opened(tmp_path), 1, second, tmp_path)
        return 0.4

    run_search(opened(tmp_path), 1, first, tmp_path)
    assert seen == [("first", 0), ("second", 1)]


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = {paths!r}
from optuna.storages.journal import JournalFileBackend
from tests.unit.test_distillation_search import Trainer, opened, run_search
folder, append, left = Path({folder!r}), JournalFileBackend.append_logs, [{kill}]
def append_and_die(journal, logs):
    left[0] -= 1
    if left[0] == 0:
        with open(journal._file_path, "ab") as file:
            file.write(b'{{"op_code":4,"worker_id":"x","tri')
        os.kill(os.getpid(), signal.SIGKILL)
    append(journal, logs)
JournalFileBackend.append_logs = append_and_die
run_search(opened(folder), 4, Trainer(), folder)
"""


@pytest.mark.parametrize("kill", [1, 2, 5, 9, 20])
def test_kill_minus_nine_in_the_middle_of_a_record(tmp_path: Path, project: Path, kill: int) -> None:
    code = KILLED.format(paths=[str(project), str(project / "workflow")], folder=str(tmp_path), kill=kill)
    assert subprocess.run([sys.executable, "-c", code], cwd=project).returncode == -signal.SIGKILL
    run_search(opened(tmp_path), 4, Trainer(), tmp_path)
    assert len(rows_of(opened(tmp_path))) == 4


def test_an_edited_outcome_is_refused(tmp_path: Path) -> None:
    run_search(opened(tmp_path), 3, lambda point, folder, report: 0.25, tmp_path)
    (journal,) = [path for path in tmp_path.iterdir() if path.is_file() and "0.25" in path.read_text()]
    text = journal.read_text()
    for old, new in (("0.25", "0.15"), ('"temperature"', '"temperatura"')):
        journal.write_text(text.replace(old, new, 1))
        with pytest.raises(DamagedError, match="trial 0 was changed after it was written"):
            opened(tmp_path)
    journal.write_text(text)
    assert len(rows_of(opened(tmp_path))) == 3


def test_a_diverged_trial_fails_and_the_search_goes_on(tmp_path: Path) -> None:
    def evaluate(point: Point, folder: Path, report: Any) -> float:
        report(1, float("inf"))
        if folder.name == "trial-00001":
            raise DivergedTrialError("never finite")
        return 0.5

    search = opened(tmp_path)
    run_search(search, 3, evaluate, tmp_path)
    assert [row["state"] for row in rows_of(search)] == ["complete", "fail", "complete"]
    assert rows_of(search)[1]["validation_loss"] is None and summarise(search)["failed"] == 1


def test_a_pruned_trial_has_the_lowest_loss_that_it_reported(tmp_path: Path) -> None:
    def evaluate(point: Point, folder: Path, report: Any) -> float:
        for epoch, loss in enumerate((0.5, 0.4, float("inf")), 1):
            report(epoch, loss)
        raise optuna.TrialPruned

    search = opened(tmp_path)
    run_search(search, 1, evaluate, tmp_path)
    (row,) = rows_of(opened(tmp_path))
    assert (row["state"], row["validation_loss"], row["epochs"]) == ("pruned", 0.4, 3)


def test_a_trial_in_its_last_epoch_is_not_pruned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has nothing left to save, and would be missing among the completed ones."""
    monkeypatch.setattr(optuna.Trial, "should_prune", lambda _: True)

    def evaluate(point: Point, folder: Path, report: Any) -> float:
        report(8 if folder.name == "trial-00001" else 9, 0.5)
        return 0.5

    search = opened(tmp_path)
    run_search(search, 2, evaluate, tmp_path)
    assert [row["state"] for row in rows_of(search)] == ["complete", "pruned"]


def test_the_best_of_a_loss_function_is_a_trial_that_was_completed() -> None:
    rows: list[Any] = [
        {"number": number, "state": state, "validation_loss": loss, "loss": "kl"}
        for number, (state, loss) in enumerate(
            [("pruned", 0.1), ("complete", 0.3), ("complete", 0.2), ("fail", None)]
        )
    ]
    assert [row["number"] for row in best_per_loss(rows)] == [2]


def test_a_search_of_other_data_is_refused(tmp_path: Path) -> None:
    opened(tmp_path)
    with pytest.raises(MismatchError, match="other data, weights"):
        opened(tmp_path, "y")


def test_summary_and_figures(tmp_path: Path, default_config: dict[str, Any], project: Path) -> None:
    study = load_study(default_config, project)
    few, search = opened(tmp_path / "few"), opened(tmp_path)
    run_search(search, 15, Trainer(), tmp_path)
    summary = summarise(search)
    assert summary["trials"] == 15 and sum(summary["importances"].values()) == pytest.approx(1)
    for number in (1, 2):
        draw_importances(search, study, tmp_path / f"importances-{number}.svg")
        draw_slices(search, tmp_path / f"slices-{number}.svg")
    for name in ("importances", "slices"):
        assert (tmp_path / f"{name}-1.svg").read_bytes() == (tmp_path / f"{name}-2.svg").read_bytes()
    draw_importances(few, study, tmp_path / "empty.svg")


class Searched:
    """A task of a search whose trials are not trained: they have these validation losses."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, config: dict[str, Any], project: Path, *losses: float | None
    ) -> None:
        job = search_job(load_study({**config, "search": {"patience": 2}}, project), "albeto-tiny", "ner")
        self.losses, self.ran, self.targets = losses, list[tuple[Any, Any]](), list[str]()
        data = SimpleNamespace(task_id="ner", task=job.shard.tasks["ner"], model=None, train=None, validation=None)  # fmt: skip
        for name, stand_in in {
            "CachedObjectives": lambda *_: self,
            "TaskData": lambda *_, **__: data,
            "check_weights": lambda _: "w",
            "group_digest": lambda *_: "g",
            "run_trial": self.run_trial,
        }.items():
            monkeypatch.setattr(search_task, name, stand_in)
        here = Path()
        self.task = search_task.SearchTask(
            job.shard, job.trial, weights=here, encoded_dir=here, examples_dir=here, logits_dir=here, teachers_dir=here
        )  # fmt: skip

    def digest(self, task: str) -> str:
        return "logits"

    def objective(self, *_: object, loss: str) -> Any:
        self.targets.append(loss)
        return SimpleNamespace(targets=loss)

    def run_trial(self, planned: Any, objective: Any, *, after_epoch: Any, **_: object) -> Any:
        self.ran.append((planned, objective))
        curve = [{"validation_loss": loss} for loss in self.losses]
        for epoch, entry in enumerate(curve, 1):
            after_epoch(epoch, entry)
        return {"curve": curve}


def test_a_trial_trains_the_point_that_was_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, default_config: dict[str, Any], project: Path
) -> None:
    searched, reports = Searched(monkeypatch, default_config, project, 0.4, 0.2, None, 0.3), []
    for loss in ("kl", "ce", "mse"):
        point = Point(loss, 0.25, 5.0, "3.3e-05")
        lowest = searched.task.evaluate(point, tmp_path, lambda *given: reports.append(given))
        planned, objective = searched.ran[-1]
        assert (objective.kind, objective.alpha, objective.temperature) == (loss, 0.25, 5.0)
        assert (planned.trial.learning_rate, planned.patience) == ("3.3e-05", 2)
        assert lowest == 0.2, "whatever epoch it was"
    assert reports[:4] == [(1, 0.4), (2, 0.2), (3, float("inf")), (4, 0.3)]
    assert searched.targets == ["kl", "mse"], "logits are averaged in another way for regression"
    assert len({planned.digest for planned, _ in searched.ran}) == 3


def test_a_trial_without_a_finite_loss_diverged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, default_config: dict[str, Any], project: Path
) -> None:
    searched = Searched(monkeypatch, default_config, project, None, None)
    with pytest.raises(DivergedTrialError, match="never finite"):
        searched.task.evaluate(Point("kl", 0.5, 1.0, "1e-4"), tmp_path, lambda *_: None)
