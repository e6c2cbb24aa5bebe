"""What the finished miniature promises. Give its results folder to check it: LIGERO_DEMO_RESULTS=results pytest tests/workflow."""

from __future__ import annotations

import csv
import os
from itertools import pairwise
from pathlib import Path

import pytest

TABLES = ("text_classification", "sequence_tagging", "question_answering")
COUNTED = (
    "mldoc_accuracy", "pawsx_accuracy", "xnli_accuracy", "pos_f1", "ner_f1", "mlqa_f1", "sqac_f1", "tar_xquad_f1",
)  # fmt: skip
"""Columns of the eight figures that make the score."""
ROUNDING = 1.0
"""Points of the mean score. Processors round differently, and whether a model leaves the level of chance on a task is settled in a few
steps; test sets of 400 to 500 examples leave the mean uncertain by about two points. Measured results are in docs/pretraining-log.md.
"""


@pytest.fixture(scope="module")
def results() -> Path:
    folder = os.environ.get("LIGERO_DEMO_RESULTS")
    if not folder:
        pytest.skip("LIGERO_DEMO_RESULTS names no results folder of a finished `make demo`")
    return Path(folder)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.fixture(scope="module")
def scores(results: Path) -> dict[tuple[str, str], float]:
    """Mean score of each system, by regime and name."""
    return {
        (row["regime"], row["model"]): float(row["score"])
        for row in rows(results / "summary.csv")
        if row["regime"] != "baseline"
    }


@pytest.fixture(scope="module")
def figures(results: Path) -> dict[tuple[str, str], dict[str, float]]:
    """Test score of each system by column, by regime and name; the baseline has no name."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    for table in TABLES:
        for row in rows(results / "tables" / f"{table}.csv"):
            cells = {name: float(row[name]) for name in COUNTED if row.get(name)}
            model = "" if row["regime"] == "baseline" else row["model"]
            found.setdefault((row["regime"], model), {}).update(cells)
    return found


def test_fine_tuned_systems_beat_the_baseline_on_seven_of_eight_tasks(
    figures: dict[tuple[str, str], dict[str, float]],
) -> None:
    baseline = figures["baseline", ""]
    tuned = {model: cells for (regime, model), cells in figures.items() if regime == "fine-tuning"}
    assert len(tuned) == 11 and len(baseline) == 8
    better = {
        model: sum(value > baseline[name] for name, value in cells.items()) for model, cells in tuned.items()
    }
    assert min(better.values()) >= 6, better
    assert sum(tasks >= 7 for tasks in better.values()) >= 9, better


def test_students_are_at_least_as_good_as_their_fine_tuned_twins(
    scores: dict[tuple[str, str], float],
) -> None:
    twins = {name for regime, name in scores if regime == "distillation" and ("fine-tuning", name) in scores}
    assert twins == {"ALBETO tiny"}
    for name in twins:
        assert scores["distillation", name] + ROUNDING >= scores["fine-tuning", name]


def test_students_gain_with_depth(scores: dict[tuple[str, str], float]) -> None:
    depth = [scores["distillation", f"ALBETO base-{layers}"] for layers in (2, 4, 6, 8, 10)]
    assert all(shallow < deep + ROUNDING for shallow, deep in pairwise(depth)), depth
    assert depth[0] + 3 < depth[-1], depth


def test_those_who_teach_are_better_than_all_students(
    results: Path, figures: dict[tuple[str, str], dict[str, float]], scores: dict[tuple[str, str], float]
) -> None:
    """Each task has its own teacher, so a student may pass every single system, and does with some seeds; not those it learned from."""
    teachers = [row["teacher"] for row in rows(results / "tables" / "teachers.csv")]
    taught = [figures["fine-tuning", model][name] for model, name in zip(teachers, COUNTED, strict=True)]
    best = max(score for (regime, _), score in scores.items() if regime == "distillation")
    assert sum(taught) / len(taught) > best
