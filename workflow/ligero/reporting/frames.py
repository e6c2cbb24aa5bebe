"""Helpers that every table is made with: printed cells, notes, the column with the scale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from ligero.efficiency.truncation import truncate

Cell = str | int | float | None
Cells = dict[str, Cell]
"""Some of a row's cells by column."""


def printed(value: float | None, digits: int = 2) -> str | None:
    """A figure as the tables print it: truncated, as in the thesis; None stays an empty cell."""
    return None if value is None else str(truncate(value, digits))


def interval(ends: Sequence[float] | None) -> str | None:
    """A confidence interval as one cell."""
    return None if ends is None else f"[{truncate(ends[0])}, {truncate(ends[1])}]"


def joined(notes: Iterable[str | None]) -> str | None:
    """Notes as one cell, each once; None where there are none."""
    kept = list(dict.fromkeys(note for note in notes if note))
    return "; ".join(kept) or None


def table(columns: Sequence[str], rows: Iterable[Mapping[str, object]], scale: str) -> pd.DataFrame:
    """A table with the given columns, then `scale` and `notes`; what a row leaves out is an empty cell.

    The scale is in the table itself, so that a miniature's figures cannot be taken for the thesis'. A study of the user's own
    needs no such column, and no column that is the thesis' alone: what no row fills is left out.
    """
    cells = [{"scale": scale, **row} for row in rows]
    if scale == "own":
        used = {name for row in cells for name, cell in row.items() if cell not in (None, "")}
        names = [*(name for name in columns if name in used), "notes"]
    else:
        names = [*columns, "scale", "notes"]
    return pd.DataFrame([[row.get(name) for name in names] for row in cells], columns=names, dtype=object)
