r"""Lines of text files, split at \n only (str.splitlines would also split at U+2028, U+0085 and others), and JSON."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from math import isinf
from pathlib import Path
from typing import Any

from ligero.common.errors import DataError
from ligero.common.text import read_text

Notes = Counter[str]
"""How often each thing that is worth saying happened while a file was read."""


NO_LINE_END = "files whose last line has no line end (complete, or cut off there?)"
BLANK_LINES = "blank lines passed over"
REPLACED = "halves of surrogate pairs (an emoji cut in two by an exporter) read as U+FFFD"
OF_ARRAY = "A JSON array becomes JSON lines with: jq -c '.[]' FILE > FILE.jsonl"
"""What to do about one where an object on each line is expected."""
MORE = "There is more behind the first value: JSON lines are named *.jsonl, and have no commas between them."

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Problems(list[DataError]):
    """The bad rows of a file, which are raised together at its end."""

    def add(self, path: Path, line: int | None, problem: str, remedy: str = "") -> None:
        """Note one; the arguments are those of DataError."""
        self.append(DataError(path, line, problem, remedy))


def read_whole(path: Path) -> str:
    r"""The whole file as text, \r\n (and the \r of old Macs) turned into \n.

    Raises:
        DataError: as `ligero.common.text.read_text`, and where the file is empty.
    """
    text = read_text(path).replace("\r\n", "\n")
    if "\n" not in text:
        text = text.replace("\r", "\n")
    if not text.strip():
        raise DataError(path, None, "the file is empty.", "Is it the right file?")
    return text


def read_lines(path: Path, notes: Notes) -> Iterator[tuple[int, str]]:
    """Yield (1-based number, line without its end)."""
    lines = read_whole(path).split("\n")
    if lines[-1]:
        notes[NO_LINE_END] += 1
    else:
        lines.pop()
    yield from enumerate(lines, start=1)


def filled_lines(path: Path, notes: Notes) -> Iterator[tuple[int, str]]:
    """The lines that hold more than white space; the others are counted."""
    for number, line in read_lines(path, notes):
        if line.strip():
            yield number, line
        else:
            notes[BLANK_LINES] += 1


def read_tsv(
    path: Path, layouts: Sequence[Sequence[str]], notes: Notes, problems: Problems
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line number, column -> cell) of a tab-separated file whose cells may hold any quotes.

    Args:
        layouts: the headers that the format is known with; the first line must be one of them.
        problems: gets an error for each row with another number of cells, which is not yielded.

    Raises:
        DataError: another header.
    """
    lines = filled_lines(path, notes)
    number, first = next(lines)
    header = first.split("\t")
    if header not in [list(layout) for layout in layouts]:
        expected = " or ".join(repr("\t".join(layout)) for layout in layouts)
        raise DataError(
            path, number, f"expected the header {expected}, found {first!r}.", "Is it the right file?"
        )
    rows = ((number, line.split("\t")) for number, line in lines)
    remedy = "A cell must not hold tabs or line ends; a truncated file must be fetched again."
    yield from fitting_rows(path, header, rows, problems, remedy)


def fitting_rows(
    path: Path,
    header: Sequence[str],
    rows: Iterable[tuple[int, Sequence[str]]],
    problems: Problems,
    remedy: str,
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line number, column -> cell) of the rows below a header; one with another number of cells, or the header once more,
    becomes a problem.

    Args:
        remedy: what to do about such a row.
    """
    for line, cells in rows:
        again = len(header) > 1 and cells[0].strip() == header[0]
        if again and [cell.strip() for cell in cells] == list(header):
            problems.add(path, line, "it is the header once more.", "Remove it; were files joined here?")
        elif len(cells) == len(header):
            yield line, dict(zip(header, cells, strict=True))
        else:
            found = f"expected {len(header)} cells ({', '.join(header)}), found {len(cells)}."
            problems.add(path, line, found, remedy)


def parse_json(path: Path, line: int | None, text: str, notes: Notes) -> Any:
    """A JSON value; unpaired surrogates, which no file can hold as text, become U+FFFD (one character, as they were).

    Args:
        line: of the file, where it holds a value a line.

    Raises:
        DataError: not JSON.
    """
    try:
        value = strict_json(text)
    except json.JSONDecodeError as error:
        place = error.lineno if line is None else line
        remedy = MORE if error.msg == "Extra data" else "Is the file truncated?"
        raise DataError(path, place, f"not valid JSON: {error.msg}.", remedy) from error
    except ValueError as error:
        raise DataError(path, line, f"not valid JSON: {error}.") from error
    except RecursionError as error:
        raise DataError(path, line, "JSON nested too deeply to be read.") from error
    return _without_surrogates(value, notes) if _SURROGATE_ESCAPE.search(text) else value


def strict_json(text: str | bytes) -> Any:
    """A JSON value; what Python's reader would take, and other programs would not, or would read as something else, is refused.

    Raises:
        ValueError: it is none.
        RecursionError: it is nested too deeply.
    """
    return json.loads(
        text,
        object_pairs_hook=_unrepeated,
        parse_constant=_refuse_constant,
        parse_float=_finite,
        parse_int=_whole,
    )


def _unrepeated(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        name = next(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
        raise ValueError(f"the key '{name}' occurs twice in one object")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON; write null, or a text in quotes")


def _finite(written: str) -> float:
    if isinf(value := float(written)):
        raise ValueError("a number is beyond 1.8e308, the largest that programs read; write it in quotes")
    return value


def _whole(written: str) -> int:
    try:
        return int(written)
    except ValueError as error:  # Python reads no more than some thousands
        raise ValueError(f"a number has {len(written.lstrip('-')):,} digits; write it in quotes") from error


def _without_surrogates(value: Any, notes: Notes) -> Any:
    if isinstance(value, str):
        whole, found = _SURROGATE.subn("\ufffd", value)
        if found:
            notes[REPLACED] += found
        return whole
    if isinstance(value, list):
        return [_without_surrogates(item, notes) for item in value]
    if isinstance(value, dict):
        return {
            _without_surrogates(key, notes): _without_surrogates(item, notes) for key, item in value.items()
        }
    return value
