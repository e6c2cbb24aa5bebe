"""Successive halving: who stops and why, the records that say so, and what is trained again when it is switched on, off or over."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ligero.common.records import read_record, write_record
from ligero.reporting.grids import _why, halving_table, replays, replays_table, trials_table
from ligero.reporting.results import Results
from ligero.settings.jobs import digest, search_job, shard_job
from ligero.settings.load import load_study
from ligero.settings.plan import Trial, epochs_of, shards_of, stops_some, trials_of
from ligero.settings.training import Halving
from ligero.training import shard as shards
from ligero.training.best_point import best_of
from ligero.training.halving import losers, up_to
from ligero.training.records import CurvePoint, TrialRecord, read_trial, stopped_early, write_trial
from tests.builders import kill_programs
from tests.builders.kill_programs import TRIALS


def trial(rate: str, epochs: int, batch: int = 8) -> Trial:
    return Trial(model="m", task="t", batch_size=batch, epochs=epochs, learning_rate=rate, seed=1)


def record(one: Trial, losses: list[float | None], scores: list[float] | None = None) -> TrialRecord:
    """A trial that ended with those validations, one for each epoch; by patience where they are fewer than its epochs."""
    curve = [
        CurvePoint(epoch=n, step=10 * n, train_loss=1.0, validation_loss=loss, score=score)
        for n, (loss, score) in enumerate(zip(losses, scores or [50.0] * len(losses), strict=True), start=1)
    ]
    stopped = "epochs" if len(losses) == one.epochs else "patience"
    made: Any = {"id": one.id, "trial": one.model_dump(mode="json"), "curve": curve, "stopped": stopped}
    made["best"] = best_of(curve, "loss")
    return {**made, "halvings": [{"step": 15, "from": 8, "to": 4}], "weights_digest": "w", "seconds": 1.0}


def decided(
    ended: dict[Trial, TrialRecord], halving: Halving, metric: str = "loss"
) -> dict[str, tuple[int, int, int, int]]:
    """By learning rate of each loser: epoch, place, of, kept."""
    found = {}
    for one, outcome in losers(list(ended), halving, metric, lambda one, _: ended[one]):
        assert outcome["stopped"] == "halving" and outcome["weights_digest"] is None
        assert outcome["curve"][-1]["epoch"] == outcome["halved"]["epoch"]
        at = outcome["halved"]
        found[one.learning_rate] = (at["epoch"], at["place"], at["of"], at["kept"])
    return found


NINE = {
    "1e-5": [0.90, 0.1, 0.1, 0.1],  # last after an epoch, whatever it would have come to
    "2e-5": [0.81, 0.8, 0.8, 0.8],
    "3e-5": [0.72, 0.7, 0.6, 0.5],
    "4e-5": [0.63, 0.6, 0.6, 0.6],
    "5e-5": [0.54, 0.9, 0.9, 0.2],  # its best up to the second comparison is the first epoch
    "6e-5": [0.55, 0.5, 0.5, 0.5],
    "7e-5": [0.56, 0.5, 0.4, 0.4],
    "8e-5": [0.87, 0.8, 0.8, 0.8],
    "9e-5": [0.88, 0.8, 0.8, 0.8],
}


def test_one_in_three_continues_after_one_epoch_and_one_in_three_of_these_after_three() -> None:
    ended = {trial(rate, 4): record(trial(rate, 4), list(losses)) for rate, losses in NINE.items()}
    found = decided(ended, Halving(factor=3))
    assert found == {
        "4e-5": (1, 4, 9, 3),
        "3e-5": (1, 5, 9, 3),
        "2e-5": (1, 6, 9, 3),
        "8e-5": (1, 7, 9, 3),
        "9e-5": (1, 8, 9, 3),
        "1e-5": (1, 9, 9, 3),
        "6e-5": (3, 2, 3, 1),
        "5e-5": (3, 3, 3, 1),
    }
    # Six trials of an epoch, two of three, one of four.
    assert epochs_of(ended, Halving(factor=3)) == 6 + 6 + 4 and epochs_of(ended, None) == 36


def test_only_trials_of_as_many_epochs_are_compared() -> None:
    """One of two epochs has a lower rate half-way than one of four after as much data."""
    ended = {
        one: record(one, [loss] * one.epochs)
        for one, loss in [
            (trial("1e-5", 2), 0.9),
            (trial("2e-5", 2), 0.8),
            (trial("3e-5", 4), 0.3),
            (trial("4e-5", 4), 0.2),
            (trial("5e-5", 1), 0.99),
            (trial("6e-5", 1), 0.98),
        ]
    }
    assert decided(ended, Halving(factor=2)) == {"1e-5": (1, 2, 2, 1), "3e-5": (1, 2, 2, 1)}


def test_of_equals_the_first_of_the_grid_continues_and_a_diverged_trial_is_last() -> None:
    ended = {
        trial("1e-5", 2): record(trial("1e-5", 2), [None, 0.1]),
        trial("2e-5", 2): record(trial("2e-5", 2), [0.5, 0.5]),
        trial("3e-5", 2): record(trial("3e-5", 2), [0.5, 0.1]),
    }
    assert decided(ended, Halving(factor=3)) == {"3e-5": (1, 2, 3, 1), "1e-5": (1, 3, 3, 1)}


def test_scores_decide_where_scores_select() -> None:
    ended = {
        trial("1e-5", 2): record(trial("1e-5", 2), [0.1, 0.1], [60.0, 60.0]),
        trial("2e-5", 2): record(trial("2e-5", 2), [0.9, 0.9], [70.0, 70.0]),
    }
    assert decided(ended, Halving(factor=2), "score") == {"1e-5": (1, 2, 2, 1)}
    assert decided(ended, Halving(factor=2), "loss") == {"2e-5": (1, 2, 2, 1)}


def test_a_trial_that_ran_out_of_patience_competes_and_stays_complete() -> None:
    """The one that ended is second of two and takes no place; where it is first, it takes the only one."""
    better, worse = [0.5, 0.6, 0.7], [0.9, 0.4, 0.4, 0.4, 0.4, 0.4]
    ended = {
        trial("1e-5", 6): record(trial("1e-5", 6), better),
        trial("2e-5", 6): record(trial("2e-5", 6), worse),
    }
    assert decided(ended, Halving(factor=2, min_epochs=4)) == {}
    ended[trial("2e-5", 6)] = record(trial("2e-5", 6), [0.9] * 6)
    assert decided(ended, Halving(factor=2, min_epochs=4)) == {"2e-5": (4, 2, 2, 1)}


def test_an_outcome_is_cut_at_the_epoch_at_which_the_trial_stopped() -> None:
    whole = record(trial("1e-5", 4), [0.9, 0.5, 0.4, 0.6], [50.0, 60.0, 55.0, 65.0])
    cut = up_to(whole, 2, "loss")
    assert [point["epoch"] for point in cut["curve"]] == [1, 2]
    assert cut["best"] == {"epoch": 2, "step": 20, "loss": 0.5, "score": 60.0}
    assert cut["halvings"] == [{"step": 15, "from": 8, "to": 4}] and up_to(whole, 1, "loss")["halvings"] == []
    assert up_to(whole, 4, "loss") is whole


# --- a shard ------------------------------------------------------------------------------------------------------------


def without_times(records: list[TrialRecord]) -> list[dict[str, Any]]:
    return [{key: value for key, value in one.items() if key != "seconds"} for one in records]


Shard = tuple[Path, list[TrialRecord]]
"""Its folder and outcome."""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    kill_programs.prepare_grid(folder)
    return folder


@pytest.fixture(scope="module")
def whole(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Shard:
    folder = tmp_path_factory.mktemp("whole")
    return folder, kill_programs.shard(inputs, folder)


@pytest.fixture(scope="module")
def halved(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Shard:
    folder = tmp_path_factory.mktemp("halved")
    return folder, kill_programs.shard(inputs, folder, halving=Halving(factor=2))


Ran = list[tuple[str, int | None, int]]
Again = Callable[..., list[TrialRecord]]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Ran:
    """(id, until, epochs that were really trained) of every call that trained."""
    calls: Ran = []
    genuine = shards.run_trial

    def counting(planned: Any, *arguments: Any, **options: Any) -> TrialRecord:
        seen: list[int] = []
        outcome = genuine(planned, *arguments, **options, after_epoch=lambda epoch, _: seen.append(epoch))
        calls.append((planned.trial.id, options.get("until"), len(seen)))
        return outcome

    monkeypatch.setattr(shards, "run_trial", counting)
    # kill_programs.shard puts its own in the place, which checkpoints every epoch.
    monkeypatch.setattr(kill_programs, "run_trial", counting)
    return calls


def test_survivors_end_as_in_the_whole_grid_and_losers_say_why_they_stopped(
    whole: Shard, halved: Shard
) -> None:
    full, (folder, found) = whole[1], halved
    assert [one["id"] for one in found] == [one.id for one in TRIALS]
    first = sorted(full, key=lambda one: one["curve"][0]["validation_loss"] or 0.0)
    second = sorted(first[:2], key=lambda one: up_to(one, 2, "loss")["best"]["loss"] or 0.0)
    ends = {
        first[3]["id"]: {"epoch": 1, "place": 4, "of": 4, "kept": 2},
        first[2]["id"]: {"epoch": 1, "place": 3, "of": 4, "kept": 2},
        second[1]["id"]: {"epoch": 2, "place": 2, "of": 2, "kept": 1},
    }
    for one, other in zip(found, full, strict=True):
        assert one.get("halved") == ends.get(one["id"])
        if one["id"] == second[0]["id"]:
            assert without_times([one]) == without_times([other])
            continue
        epoch = ends[one["id"]]["epoch"]
        assert (one["stopped"], one["curve"]) == ("halving", other["curve"][:epoch])
        assert one["best"]["loss"] == min(point["validation_loss"] or 9.0 for point in other["curve"][:epoch])
        assert one["weights_digest"] is None
        assert read_record(folder / "state" / "t" / one["id"] / "result.json")["halved"] == ends[one["id"]]
    assert [path.parents[1].name for path in folder.rglob("model.safetensors")] == [second[0]["id"]]
    assert not list(folder.rglob("checkpoints"))


def test_selection_marks_what_stopped(halved: Shard, tmp_path: Path) -> None:
    shutil.copytree(halved[0], tmp_path / "copy")
    chosen = kill_programs.selection(tmp_path / "copy", tmp_path / "model")
    complete = [one["id"] for one in halved[1] if one["stopped"] == "epochs"]
    assert [chosen["id"]] == complete and stopped_early(chosen) == 3


@pytest.fixture
def again(inputs: Path, tmp_path: Path) -> Again:
    """Run the shard on a copy of what an earlier one left, or once more on that copy."""

    def run(left: Path | None = None, **options: Any) -> list[TrialRecord]:
        if left:
            shutil.copytree(left, tmp_path / "copy")
        return kill_programs.shard(inputs, tmp_path / "copy", **options)

    return run


def test_a_finished_job_trains_nothing_again(halved: Shard, again: Again, ran: Ran) -> None:
    assert (again(halved[0], halving=Halving(factor=2)), ran) == (halved[1], [])


def test_switched_on_after_the_whole_grid_it_records_what_a_fresh_run_does(
    whole: Shard, halved: Shard, again: Again, ran: Ran
) -> None:
    """Nothing is trained but, where it chooses another trial, this one, for its weights, which the grid no longer has."""
    on = again(whole[0], halving=Halving(factor=2))
    assert without_times(on) == without_times(halved[1])
    winner = next(one["id"] for one in halved[1] if one["stopped"] == "epochs")
    best = min(whole[1], key=lambda one: one["best"]["loss"] or 9.0)["id"]
    assert ran == ([] if winner == best else [(winner, None, 3)])
    # And off again: the whole records are still there.
    ran.clear()
    off = again()
    assert without_times(off) == without_times(whole[1])
    assert all(one == best for one, _, _ in ran)


def test_what_would_have_become_the_best_stops_all_the_same(
    whole: Shard, halved: Shard, again: Again, tmp_path: Path, ran: Ran
) -> None:
    """The last after an epoch ends below all others: the grid alone would choose it, and keep no other weights."""
    shutil.copytree(whole[0], tmp_path / "changed")
    last = next(one["id"] for one in halved[1] if one.get("halved", {}).get("place") == 4)
    folder = tmp_path / "changed" / "state" / "t" / last
    best: Any = read_trial(folder)
    best["curve"][-1]["validation_loss"] = 1e-6
    best["best"] = best_of(best["curve"], "loss")
    write_trial(folder, best)
    found = again(tmp_path / "changed", halving=Halving(factor=2))
    assert without_times(found) == without_times(halved[1]) and ran == []


def test_switched_off_the_losers_alone_are_trained(
    whole: Shard, halved: Shard, again: Again, ran: Ran
) -> None:
    off = again(halved[0])
    assert without_times(off) == without_times(whole[1])
    assert sorted(ran) == sorted((one["id"], None, 3) for one in halved[1] if one["stopped"] == "halving")


def test_with_another_factor_only_who_continues_now_is_trained(halved: Shard, again: Again, ran: Ran) -> None:
    found = again(halved[0], halving=Halving(factor=4))
    kept = [one["id"] for one in found if one["stopped"] == "epochs"]
    assert len(kept) == 1 and {one["halved"]["epoch"] for one in found if "halved" in one} == {1}
    stopped = {one["id"] for one in halved[1] if one["stopped"] == "halving"}
    assert ran == [(one, None, 3) for one in kept if one in stopped]


def test_a_trial_pauses_once_for_each_comparison_and_repeats_no_epoch(
    inputs: Path, tmp_path: Path, ran: Ran
) -> None:
    found = kill_programs.shard(inputs, tmp_path, halving=Halving(factor=2))
    assert [until for _, until, _ in ran] == [1, 1, 1, 1, 2, 2, None]
    trained = sum(epochs for _, _, epochs in ran)
    assert trained == sum(len(one["curve"]) for one in found) == epochs_of(TRIALS, Halving(factor=2)) == 7


# --- settings -----------------------------------------------------------------------------------------------------------


def with_halving(config: dict[str, Any], section: str = "fine_tuning", **changes: Any) -> dict[str, Any]:
    grid = {"batch_size": [8], "epochs": [3], "learning_rate": ["5e-4", "1e-3"]}
    return {**config, section: {**config[section], "grid": grid, "halving": {"factor": 2}, **changes}}


@pytest.mark.parametrize("section", ["fine_tuning", "distillation"])
@pytest.mark.parametrize(
    ("study", "changes", "message"),
    [
        (
            {"protocol": "thesis"},
            {},
            "halving: protocol thesis trains every trial of a grid to its end; remove the key",
        ),
        (
            {},
            {"trials_per_job": 4},
            "trials_per_job is 4; write auto (a job for each system and task), or all",
        ),
        (
            {},
            {"evaluate_every_steps": {"pos": 100}},
            "evaluate_every_steps validates at others; remove one of the keys",
        ),
        (
            {},
            {"halving": {"min_epochs": 3}},
            "no system has several trials of the same number of epochs, above min_epochs 3",
        ),
        ({}, {"halving": {"factor": 1}}, "halving.factor"),
    ],
)
def test_where_halving_cannot_be_is_said(
    project: Path,
    default_config: dict[str, Any],
    section: str,
    study: dict[str, Any],
    changes: Any,
    message: str,
) -> None:
    from ligero.common.errors import ConfigurationError

    for student in default_config["distillation"]["students"].values():
        student.pop("grid", None)
    with pytest.raises(ConfigurationError) as raised:
        load_study({**with_halving(default_config, section, **changes), **study}, project)
    assert f"{section}." in str(raised.value) and message in str(raised.value)


def test_with_auto_a_job_has_all_trials_of_a_system_and_task(
    project: Path, default_config: dict[str, Any]
) -> None:
    study = load_study(with_halving(default_config, trials_per_job="auto"), project)
    jobs = shards_of(study, "fine-tuning", "bertin")
    assert [{one.task for one in job} for job in jobs] == [{task} for task in study.tasks]
    assert [len(job) for job in jobs] == [2] * len(jobs)


def test_jobs_without_a_loser_are_those_of_a_study_without_halving(
    project: Path, default_config: dict[str, Any]
) -> None:
    """And a search of hyper-parameters, which prunes by itself, knows nothing of it."""
    off = load_study(with_halving(default_config, trials_per_job="auto", halving=None), project)
    config = with_halving(default_config, trials_per_job="auto")
    config["tasks"]["pos"]["grid"] = {"learning_rate": ["5e-4"]}
    on = load_study(config, project)
    assert "halving" not in shard_job(off, "fine-tuning", "bertin", 0).model_dump()
    together = [
        load_study(with_halving(default_config, halving=one), project) for one in (None, {"factor": 2}, {})
    ]
    assert len({digest(shard_job(study, "fine-tuning", "bertin", 0)) for study in together}) == 3
    tasks = list(on.tasks)
    assert shard_job(on, "fine-tuning", "bertin", tasks.index("pos")).halving is None
    assert shard_job(on, "fine-tuning", "bertin", tasks.index("ner")).halving == Halving(factor=2)
    assert not stops_some([trial("1e-5", 1), trial("2e-5", 1), trial("1e-5", 3)], Halving(factor=2))
    taught = with_halving(default_config, "distillation")
    for student in taught["distillation"]["students"].values():
        student.pop("grid", None)
    study = load_study(taught, project)
    assert shard_job(study, "distillation", "albeto-tiny", 0).halving == Halving(factor=2)
    assert search_job(study, "albeto-tiny", "pos").shard.halving is None


# --- tables -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def grid_of_nine(project: Path, default_config: dict[str, Any], tmp_path: Path) -> Results:
    """The nine trials above as a study's only grid, trained to their ends."""
    grid = {"batch_size": [8], "epochs": [4], "learning_rate": list(NINE)}
    config = {
        **default_config,
        "scale": "own",
        "models": {"bertin": default_config["models"]["bertin"]},
        "tasks": {"ner": {**default_config["tasks"]["ner"], "grid": {}}},
        "fine_tuning": {**default_config["fine_tuning"], "grid": grid},
        "efficiency": {**default_config["efficiency"], "reference": "bertin"},
    }
    config = {key: value for key, value in config.items() if key not in ("distillation", "teachers")}
    results = Results(load_study(config, project), tmp_path)
    records: list[Any] = [
        record(one, list(NINE[one.learning_rate]), [100 - 100 * loss for loss in NINE[one.learning_rate]])
        for one in trials_of(results.study, "fine-tuning", "bertin")
    ]
    write_record(results.layout.shard("fine-tuning", "bertin", 0), {"settings": {}, "trials": records})
    best = next(one for one in records if "rate1e-5" in one["id"])
    of = {"regime": "fine-tuning", "model": "bertin", "task": "ner"}
    write_record(results.layout.selection(*of.values()), {**of, "id": best["id"]})
    return results


def test_a_replay_says_what_halving_would_have_saved_and_chosen(grid_of_nine: Results) -> None:
    found = list(replays(grid_of_nine))
    assert [(one.halving.factor, one.halving.min_epochs) for one in found] == [
        (factor, epochs) for factor in (2, 3, 4) for epochs in (1, 2)
    ]
    (three,) = [one for one in found if one.halving == Halving(factor=3)]
    assert (three.trials, three.stopped, three.steps, three.halved_steps) == (9, 8, 360, 160)
    assert (three.selected, three.halved_selects) == (
        "batch8-epochs4-rate1e-5-seed42",
        "batch8-epochs4-rate7e-5-seed42",
    )
    assert three.more_loss == pytest.approx(0.3) and not three.same
    row = halving_table([three], "own").iloc[0].to_dict()
    assert row == {
        "regime": "fine-tuning", "factor": 3, "min_epochs": 1, "grids": 1, "trials": 9, "stopped": 8,
        "steps_saved": "55.6 %", "same_choice": "0 of 1", "mean_less_validation_score": "30.00",
        "most_less_validation_score": "30.00", "mean_more_validation_loss": "0.3000", "notes": None,
    }  # fmt: skip
    assert replays_table([replace(three, less_score=-0.001)], "own")["less_validation_score"].tolist() == [
        "0.00"
    ]
    assert replays_table(found, "own")["same"].tolist() == ["no", "yes"] * 3
    steps = replays_table([three], "own").iloc[0]
    assert (steps["steps"], steps["halved_steps"], steps["steps_saved"]) == (360, 160, "55.6 %")
    assert (steps["selected"], steps["halved_selects"]) == (three.selected, three.halved_selects)
    assert steps["more_validation_loss"] == "0.3000"
    trials = trials_table(grid_of_nine)
    assert set(trials["epochs_trained"]) == {4} and set(trials["steps"]) == {40}
    assert trials[["best_epoch", "validation_score"]].iloc[0].tolist() == [2, 90.0]
    assert set(trials["notes"]) == {None} and _why(record(trial("1e-5", 1), [None])) == "diverged"
    assert trials["selected"].tolist() == ["yes"] + ["no"] * 8 and set(trials["ended_by"]) == {"epochs"}


def test_grids_are_added_up_by_regime(grid_of_nine: Results) -> None:
    (one,) = [one for one in replays(grid_of_nine) if one.halving == Halving(factor=3)]
    other = replace(one, less_score=10.0, more_loss=0.1, halved_selects=str(one.selected))
    rows = halving_table([one, other, replace(one, regime="distillation")], "own").to_dict("records")
    assert [(row["regime"], row["grids"], row["same_choice"]) for row in rows] == [
        ("fine-tuning", 2, "1 of 2"), ("distillation", 1, "0 of 1"),
    ]  # fmt: skip
    assert (rows[0]["mean_less_validation_score"], rows[0]["most_less_validation_score"]) == (
        "20.00",
        "30.00",
    )
    assert rows[0]["mean_more_validation_loss"] == "0.2000"


def test_of_a_halved_grid_every_trial_is_in_the_table_with_the_reason_why_it_stopped(
    grid_of_nine: Results,
) -> None:
    study = grid_of_nine.study
    halving = Halving(factor=3)
    stage = study.fine_tuning.model_copy(update={"halving": halving})
    results = Results(study.model_copy(update={"fine_tuning": stage}), study.results_dir)
    path = Path(results.layout.shard("fine-tuning", "bertin", 0))
    whole = {Trial.model_validate(one["trial"]): one for one in results.shard(str(path))["trials"]}
    cut = dict(losers(list(whole), halving, "loss", lambda one, _: whole[one]))
    write_record(path, {"settings": {}, "trials": [cut.get(one, whole[one]) for one in whole]})
    halved = Results(results.study, study.results_dir)
    table = trials_table(halved)
    assert len(table) == 9 and table["ended_by"].tolist().count("halving") == 8
    last = table[table["learning_rate"] == "1e-5"].iloc[0]
    assert (last["epochs_trained"], last["validation_loss"]) == (1, 0.90)
    assert last["notes"] == "place 9 of 9 after epoch 1, of which 3 continued"
    (one,) = replays(halved)
    assert (one.stopped, one.steps, one.halved_steps, one.same) == (8, 360, 160, None)
    row = halving_table([one], "own").iloc[0]
    assert (row["steps_saved"], row["notes"]) == (
        "55.6 %",
        "what the stopped trials would have come to is unknown",
    )


def test_without_a_grid_the_table_says_that_nothing_would_stop() -> None:
    assert halving_table([], "own").to_dict("list") == {
        "notes": ["no grid has trials that halving would stop"]
    }
