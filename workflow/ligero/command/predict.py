"""`ligero predict`: answers of an exported model as JSON lines, from a file or from standard input."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from itertools import chain, islice
from pathlib import Path
from typing import Any

from ligero.common.errors import ConfigurationError, DataError, raise_together
from ligero.common.files import user_path
from ligero.common.progress import progress
from ligero.common.text import decoded
from ligero.serving.answers import Item
from ligero.serving.predictor import Predictor
from ligero.serving.readers import InputError
from ligero.tasks.delimited import JSON_LINES, cell_of, header_of, no_columns, read_rows
from ligero.tasks.lines import BLANK_LINES, OF_ARRAY, Notes, Problems, parse_json, read_whole
from ligero.tasks.sentences import read_sentences, read_treebank

STANDARD_INPUT = "-"


def run(args: argparse.Namespace) -> int:
    """Print one JSON object for each item, in their order."""
    predictor = Predictor(
        args.folder, precision=args.precision, threads=args.threads, full_depth=args.full_depth
    )
    columns = columns_of(args)
    if args.file == STANDARD_INPUT:
        if columns:
            raise no_columns(Path("standard input"), columns, "lines")
        items = items_of_lines(sys.stdin.buffer, Path("standard input"))
        if sys.stdin.isatty():
            print(
                "reading standard input: a text or a JSON object on each line; end with Ctrl-D",
                file=sys.stderr,
            )
            for item in items:  # a person waits for each answer
                _print(predictor, [item])
        else:
            _print(predictor, items)
        return 0
    path = user_path(args.file)
    try:
        _print(predictor, items_of_file(path, columns), path.name)
    except InputError as error:
        has_lines = path.is_file() and not columns and path.suffix.lower() not in READ_AS
        line = _line_of(path, error.item) if has_lines else None
        raise DataError(path, line, f"{error}.") from error
    return 0


def _line_of(path: Path, item: int) -> int | None:
    """The line of an item, counted from 1, of a file with one on each that is not blank."""
    with path.open("rb") as lines:
        filled = (number for number, line in enumerate(lines, 1) if line.decode(errors="replace").strip())
        return next(islice(filled, item - 1, None), None)


def items_of_file(path: Path, columns: dict[str, str]) -> Iterator[Item]:
    """The items of a file by its ending: a table's named columns, the words of CoNLL sentences, SQuAD questions, or lines.

    Tables, sentences and questions are read as a whole, with the readers of tasks, before the first is answered; what these
    noticed (rows passed over, rows that a quote swallowed) is printed to standard error.

    Raises:
        DataError: it is missing, empty, or not what its ending says.
        CombinedError: all bad rows of it.
        ConfigurationError: a table, and no column is named, or columns of what has none.
    """
    if not path.exists() or path.is_dir():
        problem = "is a folder." if path.is_dir() else "no such file."
        raise DataError(
            path, None, problem, "Name a .csv, .tsv, .jsonl or text file, or - for standard input."
        )
    kind, notes = path.suffix.lower(), Notes()
    if kind in (".csv", ".tsv") or (columns and kind in JSON_LINES):
        found = iter(items_of_table(path, columns, notes))
    elif columns:
        raise no_columns(path, columns, READ_AS.get(kind, "lines"))
    elif READ_AS.get(kind) == "sentences":
        found = iter(sentences_of(path, notes))
    elif kind == ".json":
        found = iter(list(questions_of(path, notes)))
    else:
        found = _items_of_text(path, kind in JSON_LINES)
    _say(path, notes)
    if (first := next(found, None)) is None:
        raise DataError(path, None, "holds nothing to answer.", "Is it the right file?")
    yield from chain([first], found)


READ_AS = {".conll": "sentences", ".bio": "sentences", ".conllu": "sentences", ".json": "SQuAD questions"}


def _say(path: Path, notes: Notes) -> None:
    for what, count in sorted(notes.items()):
        print(f"{path}: {count:,} {what}", file=sys.stderr)


def _items_of_text(path: Path, objects: bool) -> Iterator[Item]:
    with path.open("rb") as lines:
        yield from items_of_lines(lines, path, objects)


def columns_of(args: argparse.Namespace) -> dict[str, str]:
    """Key of an item to its column."""
    named = {
        "text": args.text,
        "second_text": args.second_text,
        "question": args.question,
        "context": args.context,
        "id": args.id,
    }
    return {key: column for key, column in named.items() if column is not None}


def items_of_lines(lines: Iterable[bytes], path: Path, objects: bool = False) -> Iterator[Item]:
    """A line that begins with `{` is a JSON object, any other a text; blank lines are passed over and counted.

    Args:
        objects: every line must be an object.

    Raises:
        DataError: a line that begins like JSON and is none, that is not UTF-8, or that holds several lines of an old Mac.
    """
    notes = Notes()
    for number, line in enumerate(lines, 1):
        text = decoded(path, line, number).rstrip("\r\n")
        if not text.strip():
            notes[BLANK_LINES] += 1
            continue
        if not objects and not text.lstrip().startswith("{"):
            if "\r" in text:
                problem = "a carriage return within the line: several texts would be read as one."
                raise DataError(path, number, problem, r"Convert the line ends, e.g. tr '\r' '\n' < FILE.")
            yield text
            continue
        try:
            value = parse_json(path, number, text, notes)
        except DataError as error:
            if objects:
                raise
            remedy = (
                'A line that begins with { is a JSON object; a text that does is written {"text": "..."}.'
            )
            raise DataError(path, number, error.problem, remedy) from error
        if not isinstance(value, dict):
            raise DataError(path, number, "expected a JSON object.", OF_ARRAY)
        yield value
    _say(path, notes)


def sentences_of(path: Path, notes: Notes) -> list[Item]:
    """The words of each sentence of a CoNLL-U file, or of one of columns: the first.

    Raises:
        DataError: a bad row.
        CombinedError: several.
    """
    problems = Problems()
    if path.suffix.lower() == ".conllu":
        treebank = read_treebank(path, notes, problems)
        found = [[word for _, word, _ in sentence.rows] for sentence in treebank]
    else:
        columns = read_sentences(path, notes, problems, least=1)
        found = [[cells[0] for _, cells in sentence.rows] for sentence in columns]
    raise_together(problems)
    return [{"words": words} for words in found]


def questions_of(path: Path, notes: Notes) -> Iterator[Item]:
    """The questions of a SQuAD file; answers, where it has any, are not looked at.

    Raises:
        DataError: it is no such file.
    """
    found = parse_json(path, None, read_whole(path), notes)
    try:
        for article in found["data"]:
            for paragraph in article["paragraphs"]:
                for entry in paragraph["qas"]:
                    yield {"id": entry["id"], "question": entry["question"], "context": paragraph["context"]}
    except (KeyError, TypeError) as error:
        missing = f"{error} is missing" if isinstance(error, KeyError) else "it is built in another way"
        raise DataError(
            path,
            None,
            f"not SQuAD JSON (data > paragraphs > qas): {missing}.",
            f"Give JSON lines in a .jsonl file. {OF_ARRAY}",
        ) from error


def items_of_table(path: Path, columns: dict[str, str], notes: Notes) -> list[Item]:
    """The named columns of each row.

    Raises:
        ConfigurationError: no column was named.
        DataError: a column is missing, or a row has another number of cells.
        CombinedError: several such rows.
    """
    if not columns.keys() - {"id"}:
        raise ConfigurationError(
            f"--text: name the column of the text in {path} ({', '.join(header_of(path))})"
        )
    problems, items = Problems(), []
    for line, row in read_rows(path, list(columns.values()), notes, problems):
        cells = {key: cell_of(path, line, row, column, problems) for key, column in columns.items()}
        if any(text is not None and not text.strip() for text in cells.values()):
            notes["rows with an empty cell, answered all the same"] += 1
        if "id" in columns and None not in cells.values():
            cells["id"] = row[columns["id"]]  # repeated as it is, a number as a number
        items.append(cells)
    raise_together(problems)
    return items  # type: ignore[return-value]


def _print(predictor: Predictor, items: Iterable[Item], label: str | None = None) -> None:
    bar: Any = (
        progress(total=None, label=label, unit="item")
        if label and sys.stderr.isatty() and not sys.stdout.isatty()
        else None
    )
    with bar or nullcontext():
        for answer in predictor.predict(items):
            sys.stdout.write(json.dumps(answer, ensure_ascii=False, allow_nan=False) + "\n")
            if bar is not None:
                bar.update(1)
    sys.stdout.flush()
