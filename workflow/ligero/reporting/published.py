"""The thesis' tables (resources/thesis/*.csv), its errata, and the arithmetic that leads from tables to scores."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path

from ligero.common.errors import DataError
from ligero.common.thesis_tables import THESIS_TABLES
from ligero.efficiency.truncation import truncate
from ligero.reporting.names import has_the_thesis_tasks, headline
from ligero.settings import plan
from ligero.settings.study import Regime, Study
from ligero.settings.tasks import THESIS_STEMS, thesis_stem

Key = tuple[str, str]
"""(regime, name of the system)."""

SCORE_TABLES = ("text_classification", "sequence_tagging", "question_answering")


def read_table(name: str, folder: Path = THESIS_TABLES) -> list[dict[str, str]]:
    """The rows of one of the thesis' tables, every cell as printed.

    Raises:
        DataError: the file is missing.
    """
    path = folder / f"{name}.csv"
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            return list(csv.DictReader(handle))
    except FileNotFoundError as error:
        raise DataError(
            path, None, "no such file.", "Restore resources/thesis from the repository."
        ) from error


def printed_figures(folder: Path = THESIS_TABLES) -> dict[Key, dict[str, str]]:
    """Every printed figure of every system: column name to cell, over the tables that compare systems."""
    figures: dict[Key, dict[str, str]] = {}
    for name in (*SCORE_TABLES, "summary", "inference_speed"):
        for row in read_table(name, folder):
            cells = {column: cell for column, cell in row.items() if column not in ("regime", "model")}
            figures.setdefault((row["regime"], row["model"]), {}).update(cells)
    # The summary is the last of these tables in the thesis, and the first of them in the order of its systems.
    return {
        (row["regime"], row["model"]): figures[row["regime"], row["model"]]
        for row in read_table("summary", folder)
    }


def published_score(study: Study, regime: Regime, model: str, task: str | None) -> float | None:
    """The score that the thesis prints of a system, on a task (by the study's metric) or as the mean over its eight; None where it has none."""
    figures = printed_figures().get((regime, plan.system_name(study, regime, model)), {})
    if task is None:
        printed = figures.get("score") if has_the_thesis_tasks(study) else None
    else:
        spec = study.tasks[task]
        printed = figures.get(f"{thesis_stem(spec)}_{headline(spec).suffix}")
    return None if printed is None else float(printed)


@dataclass(frozen=True)
class Erratum:
    """A printed figure that cannot be right."""

    corrected: str
    reason: str


@cache
def errata() -> dict[Key, dict[str, Erratum]]:
    """System to column name to erratum (resources/thesis/errata.csv).

    The values of ALBETO xlarge are those of the authors' repository; the printed score 84.13 is only reached with
    them.
    """
    found: dict[Key, dict[str, Erratum]] = {}
    for row in read_table("errata"):
        erratum = Erratum(row["corrected"], row["reason"])
        found.setdefault((row["regime"], row["model"]), {})[row["metric"]] = erratum
    return found


def corrected(key: Key, figures: Mapping[str, str]) -> dict[str, str]:
    """A system's printed figures with the errata applied."""
    return {**figures, **{metric: erratum.corrected for metric, erratum in errata().get(key, {}).items()}}


def score_columns() -> list[str]:
    """The eight columns over which the thesis takes its score."""
    accuracy = ("mldoc", "pawsx", "xnli")
    return [f"{stem}_{'accuracy' if stem in accuracy else 'f1'}" for stem in THESIS_STEMS.values()]


def recomputed_score(figures: Mapping[str, str]) -> Decimal:
    """The score that follows from a system's eight printed figures: their mean, truncated to two decimals."""
    columns = score_columns()
    return truncate(sum((Decimal(figures[column]) for column in columns), Decimal(0)) / len(columns))
