"""Users' own data: CSV, TSV or JSON lines with named columns, for classification of one or two texts."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ligero.common.errors import DataError
from ligero.settings.tasks import DELIMITERS, Columns
from ligero.tasks.examples import ClassificationExample
from ligero.tasks.readers.context import QUOTED_CELLS, ReaderContext, content_group
from ligero.tasks.readers.lines import BLANK_LINES, filled_lines, parse_json, read_whole

KINDS = (".csv", ".tsv", ".jsonl", ".ndjson")

csv.field_size_limit(2**31 - 1)
"""Python's own limit of 131,072 characters is shorter than some documents."""

Row = Mapping[str, Any]


def read_table(path: Path, context: ReaderContext) -> Iterator[ClassificationExample]:
    """Read a table whose kind is its extension: `.csv` (RFC 4180 quoting), `.tsv` (no quoting) or `.jsonl`.

    A row without an id gets its number in the file. The group is what the row says, so that equal texts stay in one split and
    a cut into shares does not move when rows come and go.

    Raises:
        DataError: an unknown extension, or a column that is missing.
    """
    columns = context.columns
    if path.suffix.lower() not in KINDS:
        hint = (
            " A JSON array becomes JSON lines with: jq -c '.[]' FILE"
            if path.suffix.lower() == ".json"
            else ""
        )
        raise DataError(
            path,
            None,
            f"expected a file named {', '.join('*' + kind for kind in KINDS)}.",
            f"Rename it.{hint}",
        )
    for number, (line, row) in enumerate(_rows(path, context)):
        text = _cell(path, line, row, columns.text, context)
        second = _cell(path, line, row, columns.second_text, context) if columns.second_text else None
        label = _cell(path, line, row, columns.label, context)
        identity = _cell(path, line, row, columns.id, context) if columns.id else str(number)
        if text is None or label is None or identity is None or (columns.second_text and second is None):
            continue
        yield ClassificationExample(
            id=identity,
            group=content_group([text, second]),
            text=context.check_text(text),
            second_text=None if second is None else context.check_text(second),
            label=context.check_label(path, line, label),
        )


def _cell(path: Path, line: int, row: Row, name: str, context: ReaderContext) -> str | None:
    """A cell as text; None, and a problem, where it is not there or is none."""
    if name not in row:
        context.problems.append(_no_column(path, line, name, list(row)))
    elif row[name] is None:
        context.problems.add(
            path, line, f"column '{name}' is null; expected a text.", "Write a text, or remove the row."
        )
    elif isinstance(row[name], dict | list):
        context.problems.add(
            path,
            line,
            f"column '{name}' is a JSON {'object' if isinstance(row[name], dict) else 'list'}; expected a text.",
        )
    else:
        return row[name] if isinstance(row[name], str) else json.dumps(row[name])
    return None


def _no_column(path: Path, line: int, name: str, header: Sequence[str]) -> DataError:
    close = get_close_matches(name.casefold(), {key.casefold(): key for key in header}, n=1)
    meant = next((f"Did you mean '{key}'? " for key in header if [key.casefold()] == close), "")
    return DataError(
        path,
        line,
        f"no column '{name}' (columns: {', '.join(header)}).",
        f"{meant}Name the columns under the task's 'columns'"
        + (", and what separates them under 'columns.delimiter'." if len(header) == 1 else "."),
    )


def _rows(path: Path, context: ReaderContext) -> Iterator[tuple[int, Row]]:
    """(line number, column -> value); rows that do not fit become problems."""
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        yield from _json_rows(path, context)
        return
    if path.suffix.lower() == ".tsv":
        lines = filled_lines(path, context.notes)
        rows: Iterator[tuple[int, list[str]]] = ((line, text.split("\t")) for line, text in lines)
    else:
        rows = _csv_rows(path, context)
    first, names = next(rows)
    header = [name.strip() for name in names]
    if repeated := [name for name, times in Counter(header).items() if times > 1 and name]:
        raise DataError(
            path, first, f"column '{repeated[0]}' occurs twice in the header.", "Give each its own name."
        )
    if missing := [name for name in _wanted(context.columns) if name not in header]:
        raise _no_column(path, first, missing[0], header)
    quoted = 0
    for line, cells in rows:
        if len(cells) == len(header):
            quoted += path.suffix.lower() == ".tsv" and any(_looks_quoted(cell) for cell in cells)
            yield line, dict(zip(header, cells, strict=True))
        else:
            context.problems.add(
                path,
                line,
                f"expected {len(header)} cells ({', '.join(header)}), found {len(cells)}.",
                "In CSV a text with separators or line ends is in double quotes; in TSV no text may hold tabs.",
            )
    if quoted:
        context.notes[QUOTED_CELLS] += quoted


def _wanted(columns: Columns) -> list[str]:
    return [name for name in (columns.text, columns.second_text, columns.label, columns.id) if name]


def _looks_quoted(cell: str) -> bool:
    return len(cell) > 1 and cell[0] == cell[-1] == '"' and ('""' in cell[1:-1] or '"' not in cell[1:-1])


def _json_rows(path: Path, context: ReaderContext) -> Iterator[tuple[int, Row]]:
    for line, text in filled_lines(path, context.notes):
        try:
            value = parse_json(path, line, text, context.notes)
        except DataError as error:
            context.problems.append(error)
            continue
        if isinstance(value, dict):
            yield line, value
        else:
            remedy = "JSON lines: one object on each line. An array becomes that with: jq -c '.[]' FILE"
            context.problems.add(path, line, "expected a JSON object.", remedy)


def _csv_rows(path: Path, context: ReaderContext) -> Iterator[tuple[int, list[str]]]:
    """(first line, cells) of each row; rows without any content (spreadsheets end with such) are counted and passed over."""
    text = read_whole(path)
    said = _EXCEL.match(text)
    # Blanked and not cut off, so that line numbers stay.
    text = "\n" + text[said.end() :] if said else text
    delimiter = (
        context.columns.delimiter
        or (said["delimiter"] if said else None)
        or _delimiter(text, _wanted(context.columns))
    )
    if delimiter != ",":
        context.notes[f"files whose cells are separated by {_NAMES[delimiter]}"] += 1
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    before = 0
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield before + 1, cells
            else:
                context.notes[BLANK_LINES] += 1
            before = reader.line_num
    except csv.Error as error:
        if "unexpected end" in str(error):
            raise DataError(
                path, before + 1, "a double quote that is opened in this row is never closed.",
                'Close it, or write "" for a quote inside a text.',
            ) from error  # fmt: skip
        raise DataError(
            path,
            reader.line_num,
            f"not valid CSV: {error}.",
            'A quote inside a text in quotes is written "".',
        ) from error


_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_EXCEL = re.compile(r"sep=(?P<delimiter>[,;|\t])\n")
"""The first line of some files of Excel says what separates the cells."""


def _delimiter(text: str, wanted: Sequence[str]) -> str:
    """What separates the cells of a CSV file: the first of DELIMITERS by which the header has the wanted columns, else a comma."""
    first = text.lstrip("\n").partition("\n")[0]
    for delimiter in DELIMITERS:
        header = [name.strip() for name in next(csv.reader([first], delimiter=delimiter), [])]
        if all(name in header for name in wanted):
            return delimiter
    return max(DELIMITERS, key=first.count)
