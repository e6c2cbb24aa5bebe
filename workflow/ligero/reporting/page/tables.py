"""The study's tables, read from their CSV files: columns get a kind, so that the page can sort, align and filter them."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from ligero.common.records import check_listed
from ligero.reporting.page.records import Cell, Column, TableEntry

_NUMBER = r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
_INTERVAL = re.compile(rf"\[({_NUMBER}), ({_NUMBER})\]")
_SHORT = re.compile(r"\d+(?:\.\d+)?[KMGT]")


def read_table(name: str, path: Path, caption: str) -> TableEntry:
    """A table of the study.

    Raises:
        DataError: it has no record of digests beside it.
        DamagedError: it is missing, or not what was written.
    """
    check_listed(path.with_suffix(".json"), path.name)
    with path.open(encoding="utf-8", newline="") as handle:
        head, *body = csv.reader(handle)
    columns = [_column(column, [row[place] for row in body]) for place, column in enumerate(head)]
    cells = [[_cell(column, text) for column, text in zip(columns, row, strict=True)] for row in body]
    return {"name": name, "caption": caption, "columns": columns, "rows": cells}


def _column(name: str, cells: Sequence[str]) -> Column:
    filled = [cell for cell in cells if cell]
    for unit in ("", "x"):
        numbers = [cell.removesuffix(unit) for cell in filled if cell.endswith(unit)]
        if (
            filled
            and len(numbers) == len(filled)
            and all(re.fullmatch(_NUMBER, number) for number in numbers)
        ):
            digits = {len(number.partition(".")[2]) for number in numbers}
            if len(digits) == 1 and not any(
                "e" in number.lower() or number.startswith("+") for number in numbers
            ):
                return {"name": name, "kind": "number", "digits": digits.pop(), "unit": unit}
            return {"name": name, "kind": "printed", "digits": 0, "unit": ""}
    if filled and all(_INTERVAL.fullmatch(cell) for cell in filled):
        return {"name": name, "kind": "interval", "digits": 2, "unit": ""}
    if filled and all(_SHORT.fullmatch(cell) for cell in filled):
        return {"name": name, "kind": "printed", "digits": 0, "unit": ""}
    return {"name": name, "kind": "text", "digits": 0, "unit": ""}


def _cell(column: Column, text: str) -> Cell:
    if not text:
        return None
    if column["kind"] == "number":
        return _number(text.removesuffix(column["unit"]))
    if column["kind"] == "interval":
        found = _INTERVAL.fullmatch(text)
        assert found
        return [_number(found[1]), _number(found[2])]
    return text


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)
