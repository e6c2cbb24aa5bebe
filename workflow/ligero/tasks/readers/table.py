"""Users' own data: CSV, TSV or JSON lines with named columns, for classification of one or two texts."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ligero.common.errors import DataError
from ligero.tasks.examples import ClassificationExample
from ligero.tasks.readers.context import ReaderContext
from ligero.tasks.readers.lines import read_lines, read_utf8

KINDS = (".csv", ".tsv", ".jsonl")


def read_table(path: Path, context: ReaderContext) -> Iterator[ClassificationExample]:
    """Read a table whose kind is its extension: `.csv` (RFC 4180 quoting), `.tsv` (no quoting) or `.jsonl`.

    Raises:
        DataError: an unknown extension, a column that is missing, or a row that does not fit.
    """
    columns = context.columns
    if path.suffix not in KINDS:
        raise DataError(
            path, None, f"expected a file named {', '.join('*' + kind for kind in KINDS)}.", "Rename it."
        )
    for number, (line, row) in enumerate(_rows(path)):

        def cell(name: str, line: int = line, row: dict[str, Any] = row) -> str:
            if name not in row or row[name] is None:
                raise DataError(
                    path,
                    line,
                    f"no column '{name}' (columns: {', '.join(str(key) for key in row)}).",
                    "Name the columns under the task's 'columns'.",
                )
            return row[name] if isinstance(row[name], str) else json.dumps(row[name])

        identity = cell(columns.id) if columns.id else str(number)
        yield ClassificationExample(
            id=identity,
            group=identity,
            text=context.check_text(cell(columns.text)),
            second_text=context.check_text(cell(columns.second_text)) if columns.second_text else None,
            label=context.check_label(path, line, cell(columns.label)),
        )


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, column -> value)."""
    if path.suffix == ".jsonl":
        for line, text in read_lines(path):
            try:
                value = json.loads(text)
            except json.JSONDecodeError as error:
                raise DataError(
                    path, line, f"not valid JSON: {error.msg}.", "JSON lines: an object a line."
                ) from error
            if not isinstance(value, dict):
                raise DataError(path, line, "expected a JSON object.", "JSON lines: an object a line.")
            yield line, value
        return
    if path.suffix == ".tsv":
        rows: Iterator[tuple[int, list[str]]] = ((line, text.split("\t")) for line, text in read_lines(path))
    else:
        rows = _csv_rows(path)
    _, header = next(rows)
    for line, cells in rows:
        if len(cells) != len(header):
            raise DataError(
                path,
                line,
                f"expected {len(header)} cells ({', '.join(header)}), found {len(cells)}.",
                "In CSV a text with commas or line ends stands in double quotes; in TSV no text may hold tabs.",
            )
        yield line, dict(zip(header, cells, strict=True))


def _csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(read_utf8(path), newline=""), strict=True)
    before = 0
    try:
        for cells in reader:
            yield before + 1, cells
            before = reader.line_num
    except csv.Error as error:
        raise DataError(path, reader.line_num, f"not valid CSV: {error}.") from error
