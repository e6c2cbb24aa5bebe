"""The hyper-parameter study: its space, its pruning, and that a kill changes nothing."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages.journal import JournalFileBackend

from ligero.common.errors import MismatchError
from ligero.distillation.search import (
    LOSSES,
    TEMPERATURES,
    DivergedTrialError,
    Point,
    best_per_loss,
    open_study,
    run_study,
    study_summary,
    suggest,
    table_of,
)
from ligero.distillation.search_figures import draw_importances, draw_slices


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


def opened(folder: Path, identity: str = "x") -> Any:
    return open_study(folder / "search.journal", "toy", identity, max_epochs=9, seed=7)


def outcomes(study: optuna.Study) -> list[dict[str, Any]]:
    """Every trial's row without what differs from run to run: its seconds."""
    return [{name: value for name, value in row.items() if name != "seconds"} for row in table_of(study)]


def test_points_come_from_the_thesis_space_and_bad_ones_are_pruned(tmp_path: Path) -> None:
    study = opened(tmp_path)
    run_study(study, 25, Trainer(), tmp_path)
    rows = table_of(study)
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


def test_a_killed_study_finds_what_an_unharmed_one_finds(tmp_path: Path) -> None:
    whole = opened(tmp_path / "whole")
    run_study(whole, 12, Trainer(), tmp_path / "whole")
    trainer = Trainer(dies_at={3, 20, 31})
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            run_study(opened(tmp_path / "killed"), 12, trainer, tmp_path / "killed")
    run_study(opened(tmp_path / "killed"), 12, trainer, tmp_path / "killed")
    assert outcomes(opened(tmp_path / "killed")) == outcomes(whole)


def test_a_worker_killed_after_any_record_of_its_journal_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some kills fall between two records that belong together, as those of a trial's rung and of its end."""
    append, left = JournalFileBackend.append_logs, math.inf

    def append_and_die(journal: JournalFileBackend, logs: list[dict[str, Any]]) -> None:
        nonlocal left
        append(journal, logs)
        left -= 1
        if left == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(JournalFileBackend, "append_logs", append_and_die)
    whole = opened(tmp_path / "whole")
    run_study(whole, 6, Trainer(), tmp_path / "whole")
    records = len((tmp_path / "whole" / "search.journal").read_text().splitlines())
    assert {"pruned", "complete"} == {row["state"] for row in table_of(whole)}
    for kill in range(1, records):
        folder, left = tmp_path / str(kill), kill
        with pytest.raises(KeyboardInterrupt):
            run_study(opened(folder), 6, Trainer(), folder)
        left = math.inf
        run_study(opened(folder), 6, Trainer(), folder)
        assert outcomes(opened(folder)) == outcomes(whole), f"killed after record {kill}"


def test_workers_share_no_trial_and_only_dead_ones_are_taken_over(tmp_path: Path) -> None:
    """A second worker starts while the first holds trial 0, and again after the first one died there."""
    seen: list[tuple[str, int]] = []

    def second(point: Point, folder: Path, report: Any) -> float:
        seen.append(("second", int(folder.name.rpartition("-")[2])))
        return 0.5

    def first(point: Point, folder: Path, report: Any) -> float:
        seen.append(("first", int(folder.name.rpartition("-")[2])))
        run_study(opened(tmp_path), 1, second, tmp_path)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_study(opened(tmp_path), 1, first, tmp_path)
    assert seen == [("first", 0), ("second", 1)]
    run_study(opened(tmp_path), 2, second, tmp_path)
    assert seen[2:] == [("second", 0)]


def test_a_trial_killed_before_its_point_was_drawn_gets_the_same_point(tmp_path: Path) -> None:
    whole, killed = opened(tmp_path / "whole"), opened(tmp_path / "killed")
    run_study(whole, 3, Trainer(), tmp_path / "whole")
    killed.ask()
    run_study(killed, 3, Trainer(), tmp_path / "killed")
    assert outcomes(killed) == outcomes(whole)


@pytest.mark.parametrize("drawn", [1, 2, 3])
def test_a_trial_killed_while_its_point_was_drawn_gets_the_same_point(tmp_path: Path, drawn: int) -> None:
    points: list[Point] = []

    def evaluate(point: Point, folder: Path, report: Any) -> float:
        points.append(point)
        return 0.5

    run_study(opened(tmp_path / "whole"), 1, evaluate, tmp_path / "whole")
    killed = opened(tmp_path / "killed")
    suggest(DiesAfter(killed.ask(), drawn))  # type: ignore[arg-type]
    run_study(killed, 1, evaluate, tmp_path / "killed")
    assert points[0] == points[1]


class DiesAfter:
    """A trial whose worker draws some values and then no more."""

    def __init__(self, trial: Any, draws: int) -> None:
        self.trial, self.left, self.study, self.number = trial, draws, trial.study, trial.number

    def suggest_float(self, *arguments: Any) -> Any:
        self.left -= 1
        return self.trial.suggest_float(*arguments) if self.left >= 0 else 0.0

    def suggest_categorical(self, *arguments: Any) -> Any:
        self.left -= 1
        return self.trial.suggest_categorical(*arguments) if self.left >= 0 else None


def test_a_record_that_a_kill_left_half_written_is_cut_off(tmp_path: Path) -> None:
    run_study(opened(tmp_path / "whole"), 4, Trainer(), tmp_path / "whole")
    run_study(opened(tmp_path / "harmed"), 2, Trainer(), tmp_path / "harmed")
    with (tmp_path / "harmed" / "search.journal").open("ab") as journal:
        journal.write(b'{"op_code":4,"worker_id":"x","tri')
    run_study(opened(tmp_path / "harmed"), 4, Trainer(), tmp_path / "harmed")
    assert outcomes(opened(tmp_path / "harmed")) == outcomes(opened(tmp_path / "whole"))


def test_a_diverged_trial_fails_and_the_study_goes_on(tmp_path: Path) -> None:
    def evaluate(point: Point, folder: Path, report: Any) -> float:
        report(1, float("inf"))
        if folder.name == "trial-00001":
            raise DivergedTrialError("never finite")
        return 0.5

    study = opened(tmp_path)
    run_study(study, 3, evaluate, tmp_path)
    assert [row["state"] for row in table_of(study)] == ["complete", "fail", "complete"]
    assert table_of(study)[1]["validation_loss"] is None and study_summary(study)["failed"] == 1


def test_a_study_of_other_data_is_refused(tmp_path: Path) -> None:
    opened(tmp_path)
    with pytest.raises(MismatchError, match="other data, weights"):
        opened(tmp_path, "y")


def test_summary_and_figures(tmp_path: Path) -> None:
    study = opened(tmp_path)
    run_study(study, 15, Trainer(), tmp_path)
    summary = study_summary(study)
    assert summary["trials"] == 15 and sum(summary["importances"].values()) == pytest.approx(1)
    for number in (1, 2):
        draw_importances(summary["importances"], tmp_path / f"importances-{number}.svg")
        draw_slices(table_of(study), tmp_path / f"slices-{number}.svg")
    for name in ("importances", "slices"):
        assert (tmp_path / f"{name}-1.svg").read_bytes() == (tmp_path / f"{name}-2.svg").read_bytes()
    draw_importances({}, tmp_path / "empty.svg")
