"""Tables as people have them: CSV, TSV or JSON lines with named columns. Needs no pydantic."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ligero.common.errors import ConfigurationError, DataError
from ligero.tasks.lines import (
    BLANK_LINES,
    OF_ARRAY,
    Notes,
    Problems,
    filled_lines,
    fitting_rows,
    parse_json,
    read_whole,
)

DELIMITERS = (",", ";", "\t", "|")
"""What separates the cells of CSV files; the first that fits is taken."""
QUOTED_CELLS = (
    "rows of a .tsv with cells in double quotes, kept with them (if they are CSV's, name the file .csv)"
)
SWALLOWED_ROWS = "texts that hold lines with as many separators as a row (a double quote that was opened and not closed there?)"
JSON_LINES = (".jsonl", ".ndjson")
KINDS = (".csv", ".tsv", *JSON_LINES)

csv.field_size_limit(2**31 - 1)
"""Python's own limit of 131,072 characters is shorter than some documents."""

Row = Mapping[str, Any]


def no_column(path: Path, line: int, name: str, header: Sequence[str]) -> DataError:
    """A column that is missing; of a table with one column, what separates cells may be another sign."""
    close = get_close_matches(name.casefold(), {key.casefold(): key for key in header}, n=1)
    meant = next((f"Did you mean '{key}'? " for key in header if [key.casefold()] == close), "")
    separated = {
        ".csv": ", and what separates them under 'columns.delimiter'",
        ".tsv": "; a file whose cells are not separated by tabs is named *.csv",
    }
    return DataError(
        path,
        line,
        f"no column '{name}' (columns: {', '.join(header)}).",
        f"{meant}Name the columns under the task's 'columns' (a command's --text, --second-text, --label)"
        f"{separated.get(path.suffix.lower(), '') if len(header) == 1 else ''}.",
    )


def no_columns(path: Path, options: Iterable[str], read_as: str) -> ConfigurationError:
    """Options that name columns of what has none: each line, say, would be read whole."""
    given = ", ".join(f"--{name.replace('_', '-')}" for name in options)
    return ConfigurationError(
        f"{given}: {path} is read as {read_as}, which has no named columns. Leave it out, or name a table "
        f"{', '.join('*' + kind for kind in KINDS)}. {OF_ARRAY}"
    )


def read_rows(
    path: Path, wanted: Sequence[str], notes: Notes, problems: Problems, delimiter: str | None = None
) -> Iterator[tuple[int, Row]]:
    """(line number, column -> value) of a table whose kind is its extension; rows that do not fit become problems.

    Args:
        wanted: columns that there must be.
        delimiter: what separates the cells of a CSV file; None finds it.

    Raises:
        DataError: an unknown extension, a column that is missing or occurs twice, or quotes that do not match.
    """
    if path.suffix.lower() not in KINDS:
        raise DataError(
            path,
            None,
            f"expected a file named {', '.join('*' + kind for kind in KINDS)}.",
            "Rename it." + (f" {OF_ARRAY}" if path.suffix.lower() == ".json" else ""),
        )
    if path.suffix.lower() in JSON_LINES:
        yield from _json_rows(path, notes, problems)
        return
    rows = _cells(path, wanted, notes, delimiter)
    first, names = next(rows, (1, []))  # cells without any content are no rows
    header = [name.strip() for name in names]
    if repeated := [name for name, times in Counter(header).items() if times > 1 and name]:
        raise DataError(
            path, first, f"column '{repeated[0]}' occurs twice in the header.", "Give each its own name."
        )
    if missing := [name for name in wanted if name not in header]:
        raise no_column(path, first, missing[0], header)
    quoted = 0
    remedy = "In CSV a text with separators or line ends is in double quotes; in TSV no text may hold tabs."
    for line, row in fitting_rows(path, header, rows, problems, remedy):
        quoted += path.suffix.lower() == ".tsv" and any(map(_looks_quoted, row.values()))
        yield line, row
    if quoted:
        notes[QUOTED_CELLS] += quoted


def cell_of(path: Path, line: int, row: Row, name: str, problems: Problems) -> str | None:
    """A cell as text; None, and a problem, where it is not there or is none."""
    if name not in row:
        problems.append(no_column(path, line, name, list(row)))
    elif row[name] is None:
        problems.add(
            path, line, f"column '{name}' is null; expected a text.", "Write a text, or remove the row."
        )
    elif isinstance(row[name], dict | list):
        problems.add(
            path,
            line,
            f"column '{name}' is a JSON {'object' if isinstance(row[name], dict) else 'list'}; expected a text.",
            "A row has one label and one text; several labels are not supported."
            if isinstance(row[name], list)
            else "",
        )
    else:
        return row[name] if isinstance(row[name], str) else json.dumps(row[name])
    return None


def header_of(path: Path) -> list[str]:
    """Column names of a table; of JSON lines the keys of the first object.

    Raises:
        DataError: it is no table.
    """
    if path.suffix.lower() in (".csv", ".tsv"):
        return [name.strip() for name in next(_cells(path, (), Counter(), None), (0, []))[1]]
    return list(next(read_rows(path, (), Counter(), Problems()), (0, {}))[1])


def _looks_quoted(cell: str) -> bool:
    return len(cell) > 1 and cell[0] == cell[-1] == '"' and ('""' in cell[1:-1] or '"' not in cell[1:-1])


def _json_rows(path: Path, notes: Notes, problems: Problems) -> Iterator[tuple[int, Row]]:
    for line, text in filled_lines(path, notes):
        try:
            value = parse_json(path, line, text, notes)
        except DataError as error:
            problems.append(error)
            continue
        if isinstance(value, dict):
            yield line, value
        else:
            problems.add(path, line, "expected a JSON object.", OF_ARRAY)


def _cells(
    path: Path, wanted: Sequence[str], notes: Notes, delimiter: str | None
) -> Iterator[tuple[int, list[str]]]:
    """(first line, cells) of each row of a CSV or TSV file, the header first."""
    if path.suffix.lower() == ".tsv":
        return ((line, text.split("\t")) for line, text in filled_lines(path, notes))
    return _csv_rows(path, wanted, notes, delimiter)


def _csv_rows(
    path: Path, wanted: Sequence[str], notes: Notes, delimiter: str | None
) -> Iterator[tuple[int, list[str]]]:
    """(first line, cells) of each row; rows without any content (spreadsheets end with such) are counted and passed over."""
    text = read_whole(path)
    said = _EXCEL.match(text)
    # Blanked and not cut off, so that line numbers stay.
    text = "\n" + text[said.end() :] if said else text
    delimiter = delimiter or (said["delimiter"] if said else None) or _delimiter(text, wanted)
    if delimiter != ",":
        notes[f"files whose cells are separated by {_NAMES[delimiter]}"] += 1
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    before = 0
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                if len(cells) > 1 and any(_holds_rows(cell, delimiter, len(cells)) for cell in cells):
                    notes[SWALLOWED_ROWS] += 1
                yield before + 1, cells
            else:
                notes[BLANK_LINES] += 1
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


def _holds_rows(cell: str, delimiter: str, width: int) -> bool:
    """Whether two or more whole lines inside of a cell look like rows."""
    return "\n" in cell and sum(line.count(delimiter) == width - 1 for line in cell.split("\n")[1:-1]) > 1


_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_EXCEL = re.compile(r"sep=(?P<delimiter>[,;|\t])\n")
"""The first line of some files of Excel says what separates the cells."""


def _delimiter(text: str, wanted: Sequence[str]) -> str:
    """What separates the cells of a CSV file: the first of DELIMITERS by which the header has the wanted columns, else a comma."""
    first = re.split("[\r\n]", text.lstrip("\r\n"), maxsplit=1)[0]  # csv.reader ends rows at both
    for delimiter in DELIMITERS:
        header = [name.strip() for name in next(csv.reader([first], delimiter=delimiter), [])]
        if wanted and all(name in header for name in wanted):
            return delimiter
    return max(DELIMITERS, key=first.count)
