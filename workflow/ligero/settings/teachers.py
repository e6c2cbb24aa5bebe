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
from ligero.common.published import THESIS_TABLES
from ligero.settings.base import Identifier, Settings, SomeIds


class Teachers(Settings):
    """How the teacher of each task is chosen."""

    rule: Literal["validation", "published", "list"] = "validation"
    """Best validation loss among the candidates, the thesis' table, or the list below."""
    candidates: SomeIds | None = None
    """Models considered by the rule 'validation'; null means all."""
    choices: dict[Identifier, Identifier] = Field(default_factory=dict)
    """Task id to model id, for the rule 'list'; entries also override the other rules."""
    number: int = Field(1, ge=1)
    """Teachers a task: with the rule 'validation' this many of lowest loss teach together; 1 is the thesis."""
    weighting: Literal["mean", "validation"] = "mean"
    """How several teachers are averaged: all alike, or in proportion to exp(-validation loss)."""


PUBLISHED = THESIS_TABLES / "teachers.csv"
"""The thesis' table: columns dataset and teacher, by their printed names."""


def published_teacher(
    task_id: str, task_name: str, candidates: Mapping[str, str], table: Path = PUBLISHED
) -> str:
    """Id of the model that taught a task in the thesis; task and models are recognised by their names in the tables.

    Args:
        candidates: model id to name.

    Raises:
        ConfigurationError: the table has no such task, or its teacher is none of the candidates.
    """
    wanted = _table(table).get(plain(task_name))
    if wanted is None:
        raise ConfigurationError(
            f"teachers.rule: 'published', but the thesis names no teacher for task '{task_id}' ({task_name}). "
            f"Name one under teachers.choices.{task_id}, or use rule 'validation'."
        )
    by_name = {plain(name): model for model, name in candidates.items()}
    if plain(wanted) not in by_name:
        raise ConfigurationError(
            f"teachers.rule: 'published' asks for {wanted} as the teacher of '{task_id}', which is no candidate of this study "
            f"({', '.join(candidates.values()) or 'none'}). Add the model, or name a teacher under teachers.choices.{task_id}."
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
