"""Users' own data: CSV, TSV or JSON lines with named columns, for classification of one or two texts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ligero.settings.tasks import Columns
from ligero.tasks.delimited import cell_of, read_rows
from ligero.tasks.examples import ClassificationExample
from ligero.tasks.readers.context import ReaderContext, content_group


def read_table(path: Path, context: ReaderContext) -> Iterator[ClassificationExample]:
    """Read a table whose kind is its extension: `.csv` (RFC 4180 quoting), `.tsv` (no quoting) or `.jsonl`.

    A row without an id gets its number in the file. The group is what the row says, so that equal texts stay in one split and
    a cut into shares does not move when rows come and go.

    Raises:
        DataError: an unknown extension, or a column that is missing.
    """
    columns = context.columns
    rows = read_rows(path, _wanted(columns), context.notes, context.problems, columns.delimiter)
    for number, (line, row) in enumerate(rows):
        text = cell_of(path, line, row, columns.text, context.problems)
        second = (
            cell_of(path, line, row, columns.second_text, context.problems) if columns.second_text else None
        )
        label = cell_of(path, line, row, columns.label, context.problems)
        identity = cell_of(path, line, row, columns.id, context.problems) if columns.id else str(number)
        if text is None or label is None or identity is None or (columns.second_text and second is None):
            continue
        yield ClassificationExample(
            id=identity,
            group=content_group([text, second]),
            text=context.check_text(text),
            second_text=None if second is None else context.check_text(second),
            label=context.check_label(path, line, label),
        )


def _wanted(columns: Columns) -> list[str]:
    return [name for name in (columns.text, columns.second_text, columns.label, columns.id) if name]
