"""What the finished miniature promises. Give its results folder to check it: LIGERO_DEMO_RESULTS=results pytest tests/workflow."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

TABLES = ("text_classification", "sequence_tagging", "question_answering")
COUNTED = (
    "mldoc_accuracy", "pawsx_accuracy", "xnli_accuracy", "pos_f1", "ner_f1", "mlqa_f1", "sqac_f1", "tar_xquad_f1",
)  # fmt: skip
"""Columns of the eight figures that make the score."""


@pytest.fixture(scope="module")
def results() -> Path:
    folder = os.environ.get("LIGERO_DEMO_RESULTS")
    if not folder:
        pytest.skip("LIGERO_DEMO_RESULTS names no results folder of a finished `make demo`")
    return Path(folder)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def test_every_fine_tuned_system_beats_the_baseline_on_most_tasks(results: Path) -> None:
    figures: dict[tuple[str, str], dict[str, float]] = {}
    for table in TABLES:
        for row in rows(results / "tables" / f"{table}.csv"):
            cells = {name: float(row[name]) for name in COUNTED if row.get(name)}
            model = "" if row["regime"] == "baseline" else row["model"]
            figures.setdefault((row["regime"], model), {}).update(cells)
    baseline = figures["baseline", ""]
    tuned = {model: cells for (regime, model), cells in figures.items() if regime == "fine-tuning"}
    assert len(tuned) == 11 and len(baseline) == 8
    for model, cells in tuned.items():
        better = [name for name, value in cells.items() if value > baseline[name]]
        assert len(better) > len(baseline) / 2, f"{model} is better on {better} only"


def test_the_largest_system_beats_the_smallest(results: Path) -> None:
    def size(row: dict[str, str]) -> float:
        return float(row["parameters"].rstrip("KM")) * (1000 if row["parameters"].endswith("M") else 1)

    tuned = sorted((row for row in rows(results / "summary.csv") if row["regime"] == "fine-tuning"), key=size)
    assert float(tuned[-1]["score"]) > float(tuned[0]["score"])
