"""`ligero predict`: answers of an exported model as JSON lines, from a file or from standard input."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TextIO

from ligero.common.errors import ConfigurationError, DataError
from ligero.common.files import read_json
from ligero.common.progress import progress
from ligero.serving.answers import Item
from ligero.serving.predictor import Predictor

STANDARD_INPUT = "-"


def run(args: argparse.Namespace) -> int:
    """Print one JSON object for each item, in their order."""
    predictor = Predictor(
        args.folder, precision=args.precision, threads=args.threads, full_depth=args.full_depth
    )
    if args.file == STANDARD_INPUT:
        items = items_of_lines(sys.stdin, Path("standard input"))
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
    path = Path(args.file).expanduser()
    _print(predictor, items_of_file(path, columns_of(args)), path.name)
    return 0


def items_of_file(path: Path, columns: dict[str, str]) -> Iterator[Item]:
    """The items of a file: a table's named columns, the words of CoNLL sentences, SQuAD questions, or lines.

    Raises:
        DataError: it is missing, or not what its ending says.
        ConfigurationError: a table, and no column is named.
    """
    if not path.is_file():
        raise DataError(
            path, None, "no such file.", "Name a .csv, .tsv, .jsonl or text file, or - for standard input."
        )
    if path.suffix == ".json":
        yield from questions_of(path)
        return
    with path.open(encoding="utf-8-sig", newline="") as handle:
        if path.suffix in (".csv", ".tsv"):
            yield from items_of_table(handle, path, columns)
        elif path.suffix in (".conll", ".bio"):
            yield from sentences_of(handle)
        else:
            yield from items_of_lines(handle, path)


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


def items_of_lines(lines: Iterable[str], path: Path) -> Iterator[Item]:
    """A line that begins with `{` is a JSON object, any other a text; empty lines are passed over.

    Raises:
        DataError: a line that begins like JSON and is none.
    """
    for number, line in enumerate(lines, 1):
        text = line.rstrip("\r\n")
        if not text.strip():
            continue
        if not text.lstrip().startswith("{"):
            yield text
            continue
        try:
            yield json.loads(text)
        except json.JSONDecodeError as error:
            raise DataError(
                path, number, f"not valid JSON: {error.msg}.", "A line is a text or a JSON object."
            ) from error


def sentences_of(lines: Iterable[str]) -> Iterator[Item]:
    """The words of each sentence of a CoNLL file: the first column, sentences apart by blank lines."""
    words: list[str] = []
    for line in (*lines, ""):
        if line.strip() and not line.startswith("-DOCSTART-"):
            words.append(line.split("\t" if "\t" in line else None)[0])
        elif words:
            yield {"words": words}
            words = []


def questions_of(path: Path) -> Iterator[Item]:
    """The questions of a SQuAD file; answers, where it has any, are not looked at.

    Raises:
        DataError: it is no such file.
    """
    found = read_json(path)
    try:
        for article in found["data"]:
            for paragraph in article["paragraphs"]:
                for entry in paragraph["qas"]:
                    yield {"id": entry["id"], "question": entry["question"], "context": paragraph["context"]}
    except (KeyError, TypeError) as error:
        raise DataError(
            path,
            None,
            f"not SQuAD JSON: {error!r}.",
            "Give JSON lines with question and context in a .jsonl file.",
        ) from error


def items_of_table(handle: TextIO, path: Path, columns: dict[str, str]) -> Iterator[Item]:
    """The named columns of each row.

    Raises:
        ConfigurationError: no column was named.
        DataError: a column is missing, or a row has another number of cells.
    """
    is_tsv = path.suffix == ".tsv"
    reader = csv.reader(
        handle,
        delimiter="\t" if is_tsv else ",",
        quoting=csv.QUOTE_NONE if is_tsv else csv.QUOTE_MINIMAL,
        strict=True,
    )
    header = next(reader, [])
    if not columns.keys() - {"id"}:
        raise ConfigurationError(f"--text: name the column of the text in {path} ({', '.join(header)})")
    for column in columns.values():
        if column not in header:
            raise DataError(path, 1, f"no column '{column}' (columns: {', '.join(header)}).")
    places = {key: header.index(column) for key, column in columns.items()}
    try:
        for cells in reader:
            if len(cells) != len(header):
                raise DataError(
                    path,
                    reader.line_num,
                    f"expected {len(header)} cells ({', '.join(header)}), found {len(cells)}.",
                )
            yield {key: cells[place] for key, place in places.items()}
    except csv.Error as error:
        raise DataError(path, reader.line_num, f"not valid CSV: {error}.") from error


def _print(predictor: Predictor, items: Iterable[Item], label: str | None = None) -> None:
    bar: Any = (
        progress(total=None, label=label, unit="item")
        if label and sys.stderr.isatty() and not sys.stdout.isatty()
        else None
    )
    with bar or nullcontext():
        for answer in predictor.predict(items):
            sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
            if bar is not None:
                bar.update(1)
    sys.stdout.flush()
