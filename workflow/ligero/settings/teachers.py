"""Settings of the choice of each task's teacher, and the thesis' own choice."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from ligero.common.errors import ConfigurationError, DataError
from ligero.common.names import plain
from ligero.common.thesis_tables import THESIS_TABLES
from ligero.settings.base import Identifier, Settings, SomeIds


class Teachers(Settings):
    """How the teacher of each task is chosen."""

    rule: Literal["validation", "published", "list"] = "validation"
    """Take the candidate with the best validation loss, the thesis' choice, or the one under `choices`."""
    candidates: SomeIds | None = None
    """Ids of the models considered by the rule 'validation'; null means all."""
    choices: dict[Identifier, Identifier] = Field(default_factory=dict)
    """Teacher (model id) per task id, for the rule 'list'; entries override the other rules too."""
    number: int = Field(1, ge=1)
    """Teachers per task: with the rule 'validation', this many with the lowest losses teach together (thesis: 1)."""
    weighting: Literal["mean", "validation"] = "mean"
    """How several teachers are averaged: with equal weights, or in proportion to exp(-validation loss)."""


PUBLISHED = THESIS_TABLES / "teachers.csv"
"""The thesis' table: columns dataset and teacher, by their printed names."""


def published_teacher(
    task_id: str, task_name: str, candidates: Mapping[str, str], table: Path = PUBLISHED
) -> str:
    """Id of the model that taught a task in the thesis; task and models are matched by their names in the tables.

    Args:
        candidates: model id to name.

    Raises:
        ConfigurationError: the table has no such task, or its teacher is not among the candidates.
    """
    wanted = _table(table).get(plain(task_name))
    if wanted is None:
        raise ConfigurationError(
            f"teachers.rule: 'published', but the thesis has no teacher for task '{task_id}' ({task_name}). "
            f"Set teachers.choices.{task_id}, or use rule 'validation'."
        )
    by_name = {plain(name): model for model, name in candidates.items()}
    if plain(wanted) not in by_name:
        raise ConfigurationError(
            f"teachers.rule: 'published' requires {wanted} as the teacher of '{task_id}', which is not a model of this study "
            f"({', '.join(candidates.values()) or 'none'}). Add the model, or set teachers.choices.{task_id}."
        )
    return by_name[plain(wanted)]


@cache
def _table(path: Path) -> dict[str, str]:
    """Task to teacher; both by name, the task's made plain."""
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            return {plain(row["dataset"]): row["teacher"] for row in csv.DictReader(handle)}
    except (OSError, KeyError) as error:
        raise DataError(path, None, f"not a table with columns dataset and teacher: {error}.") from error
