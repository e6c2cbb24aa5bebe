"""What scores are worth at their costs, from stored predictions to tables and figures."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ligero.common.errors import DataError, MismatchError
from ligero.common.files import read_json, write_json
from ligero.common.hashing import digest_file
from ligero.common.records import DamagedError, digests_of, read_record, write_record
from ligero.reporting import tradeoff
from ligero.reporting.frames import interval, printed
from ligero.reporting.records import write_tradeoff
from ligero.reporting.registry import draw_figure, figures, make_table, tradeoff_inputs
from ligero.reporting.results import Results, Row
from ligero.reporting.tradeoff import AXES, Measured, Scores, costs, measure, predictions_path, stored_answers
from ligero.settings.load import load_study
from ligero.settings.study import Study
from ligero.settings.tasks import Task
from ligero.settings.yaml_files import read_yaml
from ligero.tasks.bootstrap import resampled
from ligero.tasks.examples import (
    Answer,
    ClassificationExample,
    QuestionExample,
    TaggingExample,
    write_examples,
)
from ligero.training.scoring import Examples, score_answered, write_answers
from tests.builders.results import write_artefacts

ROOT = Path(__file__).resolve().parents[2]
TASKS = ("pawsx", "ner", "sqac")
EXAMPLES = 40


def examples_of(task: Task) -> list[Any]:
    if task.type == "sequence_classification":
        return [
            ClassificationExample(str(n), str(n), f"Uno {n}.", f"Dos {n}.", str(n % 2))
            for n in range(EXAMPLES)
        ]
    if task.type == "token_classification":
        return [TaggingExample(str(n), str(n), ("Ana", "vive"), ("B-PER", "O")) for n in range(EXAMPLES)]
    return [
        QuestionExample(str(n), str(n), "Ana vive en Lima.", "¿Dónde?", (Answer("Lima", 12),))
        for n in range(EXAMPLES)
    ]


def answers_of(task: Task, right: int) -> list[Any]:
    """Right answers to the first `right` examples, wrong ones to the others."""
    if task.type == "sequence_classification":
        return [str(n % 2 if n < right else 1 - n % 2) for n in range(EXAMPLES)]
    if task.type == "token_classification":
        return [["B-PER", "O"] if n < right else ["O", "O"] for n in range(EXAMPLES)]
    return ["Lima" if n < right else "Ana" for n in range(EXAMPLES)]


def right_of(row: Row, place: int) -> int:
    """More of the test set for the systems that stand later."""
    return 10 + 2 * place if row.regime == "fine-tuning" else 20 + place


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Three tasks of the default study, one of each type, with predictions and the scores that they give."""
    config = read_yaml(ROOT / "config.yaml")
    config["tasks"] = {task: config["tasks"][task] for task in TASKS}
    study: Study = load_study(config, ROOT)
    root = tmp_path_factory.mktemp("results")
    write_artefacts(study, root)
    found = Results(study, root)
    for task_id, task in study.tasks.items():
        path = root / "tasks" / task_id / "test.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_examples(path, task.type, task.labels, examples_of(task))
        info = read_record(path.with_name("info.json"))
        write_record(path.with_name("info.json"), {**info, "files": digests_of(path.parent, [path.name])})
        examples = Examples.load(path, task.type)
        for place, row in enumerate(found.rows()):
            answers = answers_of(task, right_of(row, place))
            answered = write_answers(
                predictions_path(found, row, task_id).parent, task_id, task, answers, examples
            )
            scores_path = Path(found.layout.score(row.regime, row.model, task_id))
            records = read_record(scores_path)
            for record in records["scores"]:
                if (record["model"], record["task"]) == (row.model, task_id):
                    record["score"] = score_answered(task, answers, examples).score
                    record["predictions_digest"] = digest_file(answered)
            write_record(scores_path, records)
    return Results(study, root)


@pytest.fixture(scope="module")
def measured(results: Results) -> list[Measured]:
    return measure(results)


def system(measured: Measured, regime: str, model: str) -> Any:
    return next(
        found for found in measured["systems"] if (found["regime"], found["model"]) == (regime, model)
    )


def test_answers_are_read_as_they_were_written(results: Results) -> None:
    for task_id, task in results.study.tasks.items():
        examples = Examples.load(Path(results.layout.root, "tasks", task_id, "test.parquet"), task.type)
        row = results.rows()[3]
        assert stored_answers(results, row, task_id, examples) == answers_of(task, right_of(row, 3))


def test_every_task_and_their_mean_are_weighed_against_every_cost(measured: list[Measured]) -> None:
    assert [(found["task"], found["axis"]) for found in measured] == [
        (t, a) for t in (*TASKS, None) for a in AXES
    ]


def test_scores_and_intervals(measured: list[Measured]) -> None:
    found = system(measured[0], "fine-tuning", "albeto-tiny")
    value, low, high = found["score"]
    assert value == pytest.approx(100 * 16 / EXAMPLES)
    # Binomial: 1.96 * sqrt(0.4 * 0.6 / 40) = 15.2 points.
    assert value - low == pytest.approx(15.2, abs=3) and high - value == pytest.approx(15.2, abs=3)


def test_a_member_of_the_reference_front_gains_nothing_in_any_resample(measured: list[Measured]) -> None:
    for found in measured:
        members = [s for s in found["systems"] if s["in_reference"]]
        assert members and all(s["gain"] == (0.0, 0.0, 0.0) and s["regime"] == "fine-tuning" for s in members)
        low, high = min(s["cost"] for s in members), max(s["cost"] for s in members)
        assert all((s["gain"] is None) == (not low <= s["cost"] <= high) for s in found["systems"])


def test_gains_are_paired(measured: list[Measured], results: Results) -> None:
    """A student at the cost of its twin, right on more of the same examples: its gain has a narrower interval than its score."""
    found = system(measured[0], "distillation", "albeto-tiny")
    gain, low, high = found["gain"]
    assert gain == pytest.approx(100 * (31 - 16) / EXAMPLES)
    assert 0 < low < gain < high


def test_the_teacher_keeps_all_of_its_score(measured: list[Measured], results: Results) -> None:
    teacher = results.teacher("pawsx")["teacher"]
    assert system(measured[0], "fine-tuning", teacher)["retention"] == (100.0, 100.0, 100.0)
    kept = measured[0]["retaining"]
    assert [found["share"] for found in kept] == [0.99, 0.97, 0.95]
    assert all(found["saving"] is None or found["saving"] > 0 for found in kept)


def test_the_reference_point_costs_64_times_the_reference_model(
    measured: list[Measured], results: Results
) -> None:
    for found in measured:
        reference = system(found, "fine-tuning", results.study.efficiency.reference)
        assert found["reference_cost"] == 64 * reference["cost"]


def test_time_is_the_median_in_milliseconds() -> None:
    timed = {"cpu": {"median_seconds": 0.002, "mean_seconds": 0.003}}
    found: Any = SimpleNamespace(speed={("fine-tuning", "a"): timed})
    assert costs(found, [Row("fine-tuning", "a", "A", None)], "milliseconds").tolist() == [2.0]


def cheapest_with_97_percent(scores: Sequence[Sequence[float]], spent: list[float], teachers: int) -> Any:
    """Of systems with a score on the whole test set and some on resamples; the first ones teach."""
    found = np.array(scores)
    rows = tuple(Row("fine-tuning", name, name, None) for name in "abc"[: len(scores)])
    taught = found[:teachers].mean(axis=0)
    together = Scores(rows, found[:, 0], found[:, 1:], 50.0, tuple(range(teachers)), taught)
    retaining = tradeoff._retaining(together, np.array(spent), taught)
    return next(one for one in retaining if one["share"] == 0.97)


def test_in_each_resample_a_system_is_held_against_its_teacher_there() -> None:
    found = cheapest_with_97_percent([(90.0, 80.0, 100.0), (89.0, 79.0, 99.0)], [2.0, 1.0], 1)
    assert (found["model"], found["probability"], found["saving"]) == ("b", 1.0, 2.0)
    found = cheapest_with_97_percent([(90.0, 80.0, 100.0), (89.0, 77.0, 99.0)], [2.0, 1.0], 1)
    assert found["probability"] == 0.5


def test_outcomes_of_three_systems() -> None:
    """On the whole test set and two resamples; in the second the student is worse than the cheaper twin of its teacher."""
    rows = (
        Row("fine-tuning", "a", "A", None),
        Row("fine-tuning", "b", "B", None),
        Row("distillation", "s", "S", None),
    )
    found = np.array([[60.0, 61.0, 59.0], [80.0, 79.0, 81.0], [75.0, 76.0, 50.0]])
    scores = Scores(rows, found[:, 0], found[:, 1:], 20.0, (1,), found[1])
    counted = {("fine-tuning", "a"): 1, ("fine-tuning", "b"): 4, ("distillation", "s"): 2}
    results: Any = SimpleNamespace(
        efficiency={key: {"macs": macs, "bytes": 0} for key, macs in counted.items()},
        study=SimpleNamespace(efficiency=SimpleNamespace(reference="b")),
    )
    measured = tradeoff._measured(results, "t", scores, "macs")
    assert (measured["reference_cost"], measured["reference_score"]) == (256.0, 20.0)
    told = [
        (
            *(one[key] for key in ("model", "cost", "efficient", "in_reference", "probability")),  # type: ignore[literal-required]
            *(one[key][0] for key in ("score", "gain", "contribution", "retention")),  # type: ignore[literal-required]
        )
        for one in measured["systems"]
    ]
    assert told == [
        # From 20 to 60 points over one doubling; 5 over the six that are left to the reference; 15 over one.
        ("a", 1.0, True, True, 1.0, 60.0, 0.0, 40.0, 75.0),
        ("b", 4.0, True, True, 1.0, 80.0, 0.0, 30.0, 100.0),
        ("s", 2.0, True, False, 0.5, 75.0, 5.0, 15.0, 93.75),
    ]
    student = measured["systems"][2]
    assert student["gain"] and student["gain"][1:] == pytest.approx(np.percentile([6, -20], [2.5, 97.5]))
    kept = np.percentile([7600 / 79, 5000 / 81], [2.5, 97.5])
    assert student["retention"] and student["retention"][1:] == pytest.approx(kept)
    mean = Scores.mean([scores, dataclasses.replace(scores, baseline=40.0, taught=None)])
    assert (mean.baseline, mean.taught) == (30.0, None), "of one task nobody is the teacher"


def test_several_teachers_cost_their_mean() -> None:
    found = cheapest_with_97_percent([(90.0, 90.0), (90.0, 90.0), (90.0, 90.0)], [4.0, 2.0, 1.0], 2)
    assert (found["model"], found["saving"]) == ("c", 3.0)


def test_the_mean_is_over_tasks(measured: list[Measured]) -> None:
    parts = [
        system(found, "distillation", "albeto-base-4")["score"][0]
        for found in measured
        if found["axis"] == "macs"
    ]
    assert parts[-1] == pytest.approx(np.mean(parts[:-1]))


def test_in_a_mean_each_task_is_resampled_on_its_own(results: Results) -> None:
    """Tasks of equally many examples draw the same places: right at opposite ones, they would cancel each other out."""
    right = np.arange(200) < 100
    draws = resampled(
        [np.stack([found, np.ones(200)], axis=1) for found in (right, ~right)],
        lambda s: 100 * s[..., 0] / s[..., 1],
    )
    rows = tuple(results.rows()[:2])
    parts = [
        Scores.whole(rows, np.array([50.0, 40.0]), np.stack([one, one - 10]), 0.0, (0,)) for one in draws
    ]
    assert np.std(draws[0] + draws[1]) < 1e-9
    mean = Scores.mean(parts)
    assert np.std(mean.samples[0]) == pytest.approx(np.std(draws[0]) / 2**0.5, rel=0.1)
    assert mean.taught is not None and mean.taught[0] == 50.0
    assert np.allclose(mean.taught[1:], mean.samples[0]), "the teacher is resampled with the systems"
    assert np.allclose(mean.samples[0] - mean.samples[1], 10), "systems stay paired"


def test_predictions_that_were_changed_after_scoring_are_refused(results: Results) -> None:
    path = predictions_path(results, results.rows()[0], "pawsx")
    before = path.read_bytes()
    try:
        write_json(path, {**read_json(path), "0": "1"})
        with pytest.raises(DamagedError, match=r"pawsx.*changed after it was written"):
            Scores.of_task(results, "pawsx")
    finally:
        path.write_bytes(before)


def test_predictions_that_do_not_give_the_recorded_score_are_refused(results: Results) -> None:
    row = results.rows()[0]
    path = Path(results.layout.score(row.regime, row.model, "pawsx"))
    before = path.read_bytes()
    record = read_record(path)
    try:
        for score in record["scores"]:
            score["score"] += 1.0
        write_record(path, record)
        with pytest.raises(MismatchError, match=r"its answers give .* but the recorded score is"):
            Scores.of_task(Results(results.study, results.layout.root), "pawsx")
    finally:
        path.write_bytes(before)


def test_a_tradeoff_of_another_study_is_refused(
    results: Results, measured: list[Measured], tmp_path: Path
) -> None:
    def refused(parts: list[Any], said: str) -> None:
        found = Results(results.study, tmp_path)
        write_tradeoff(Path(found.layout.tradeoff), parts)
        with pytest.raises(DataError, match=rf"tradeoff\.json: {said}.*[Mm]easure"):
            make_table("retention", found)

    parts: list[Any] = list(measured)
    refused(parts[:-3], "it is of the tasks ner, pawsx, sqac; expected all, ner, pawsx, sqac")
    fewer = {**parts[0], "systems": parts[0]["systems"][1:]}
    refused([fewer, *parts[1:]], f"it has no row for fine-tuning of '{parts[0]['systems'][0]['model']}'")
    other = {**parts[0], "systems": [*parts[0]["systems"], {**parts[0]["systems"][0], "model": "other"}]}
    refused([other, *parts[1:]], "it has a row for fine-tuning of 'other', which is not run here")


def test_everything_that_is_read_is_an_input_or_lies_beside_a_score(results: Results) -> None:
    for path in tradeoff_inputs(results.layout):
        assert Path(path).is_file(), path


def test_the_tables(results: Results, measured: list[Measured]) -> None:
    write_record(results.layout.tradeoff, {"measured": measured})
    frame = make_table("tradeoff", Results(results.study, results.layout.root))
    assert len(frame) == len(results.rows()) * len(AXES) * 4 + 2 * len(AXES)
    beside = frame[frame.regime == "without a language model"]
    columns = ["task", "cost", "model", "amount", "score", "score_interval", "gain", "efficient", "notes"]
    interval = "[48.50, 51.50]"
    assert beside[columns].values.tolist() == [
        ["PAWS-X", cost, f"{features}, logistic regression", amount, "50.00", interval, None, None, note]
        for cost, amount, note in (
            ("MACs", None, "MACs are counted of neural networks only"),
            ("milliseconds", "0.250", "a text of its own length; systems read 128 tokens"),
            ("bytes", 2_000_000, None),
        )
        for features in ("n-grams", "static embeddings of BETO cased")
    ]
    row = frame[(frame.task == "PAWS-X") & (frame.cost == "MACs") & (frame.regime == "distillation")].iloc[0]
    assert (row["model"], row["gain"], row["efficient"], row["notes"]) == (
        "ALBETO tiny",
        "37.50",
        "no",  # base-2 has as many layers of the same width, and more right
        None,
    )
    kept = make_table("retention", Results(results.study, results.layout.root))
    assert set(kept["task"]) == {"PAWS-X", "NER", "SQAC", "all"} and len(kept) == 4 * 3 * 3


def test_the_tables_hold_what_was_measured(results: Results, measured: list[Measured]) -> None:
    write_record(results.layout.tradeoff, {"measured": measured})
    found = Results(results.study, results.layout.root)
    frame, kept = (make_table(name, found).to_dict("records") for name in ("tradeoff", "retention"))
    lines = iter([row for row in frame if row["regime"] != "without a language model"])
    for part in measured:
        for outcome in part["systems"]:
            row = next(lines)
            figures = {
                "score": "score",
                "gain": "gain",
                "hypervolume": "contribution",
                "retention": "retention",
            }
            for column, key in figures.items():
                value, *ends = outcome[key] or (None, None)  # type: ignore[literal-required]
                assert row[column] == printed(value) and row[f"{column}_interval"] == (
                    interval(ends) if value is not None else None
                )
            in_time = part["axis"] == "milliseconds"
            assert row["amount"] == (printed(outcome["cost"], 3) if in_time else round(outcome["cost"]))
            assert row["efficient_probability"] == printed(outcome["probability"])
            assert (row["efficient"] == "yes", row["reference_front"] == "yes") == (
                outcome["efficient"],
                outcome["in_reference"],
            )
            assert (row["notes"] is None) == (outcome["gain"] is not None)
    retaining = [one for part in measured for one in part["retaining"]]
    assert [row["kept"] for row in kept[:3]] == ["99 %", "97 %", "95 %"]
    for row, one in zip(kept, retaining, strict=True):
        assert (row["regime"], row["times_cheaper"]) == (one["regime"], printed(one["saving"]))
        assert row["probability"] == printed(one["probability"]) and (row["notes"] is None) == bool(
            one["model"]
        )


def test_the_figures(results: Results, measured: list[Measured]) -> None:
    write_record(results.layout.tradeoff, {"measured": measured})
    found = Results(results.study, results.layout.root)
    assert {name for name in figures(results.study) if name.startswith("tradeoff")} == {
        "tradeoff_all", "tradeoff_pawsx", "tradeoff_ner", "tradeoff_sqac",
    }  # fmt: skip
    figure = draw_figure("tradeoff_ner", found)
    assert [axes.get_xscale() for axes in figure.axes] == ["log"] * 3
    assert "NER: score at equal cost" in figure.axes[0].get_title(loc="left")
