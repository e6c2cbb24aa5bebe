"""CoNLL-2002 NER (Tjong Kim Sang 2002): `word POS tag` a line, sentences apart by blank lines, tags in BIO (IOB2)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ligero.common.errors import DataError
from ligero.tasks.examples import TaggingExample
from ligero.tasks.readers.context import ReaderContext
from ligero.tasks.readers.lines import read_lines

DOCUMENT_START = "-DOCSTART-"


def read_conll2002(path: Path, context: ReaderContext) -> Iterator[TaggingExample]:
    """Read a file of two or three columns (word first, tag last).

    The published Spanish files hold 8323 / 1915 / 1517 sentences. The thesis counts one more in each: the script it
    read them with made an empty sentence out of the blank line that ends each file.

    Raises:
        DataError: a wrong number of columns, a tag outside the label set, or a file that does not end with a blank line
            (cut off inside a sentence).
    """
    words: list[str] = []
    labels: list[str] = []
    sentence, document, line, first = 0, 0, 0, 0
    for line, text in read_lines(path):
        if not text.strip():
            if words:
                yield _sentence(sentence, document, words, labels)
                sentence, words, labels = sentence + 1, [], []
            continue
        if text.startswith(DOCUMENT_START):
            document += 1
            continue
        cells = text.rstrip().split(" ") if "\t" not in text else text.rstrip().split("\t")
        if len(cells) not in (2, 3) or not all(cells):
            raise DataError(
                path, line, f"expected 'word tag' or 'word POS tag', found {text!r}.",
                "Columns are parted by one space (or tab); a truncated file must be fetched again.",
            )  # fmt: skip
        first = line if not words else first
        words.append(cells[0])
        labels.append(context.check_label(path, line, cells[-1]))
        _count_orphans(labels, context)
    if words:
        raise DataError(
            path, line, f"the sentence begun on line {first} is not ended by a blank line: the file is truncated.",
            "Fetch or write it again.",
        )  # fmt: skip


def _count_orphans(labels: list[str], context: ReaderContext) -> None:
    """In IOB2 an I-X follows a B-X or an I-X; esp.train has an exception, so they are counted and not refused."""
    tag, before = labels[-1], labels[-2] if len(labels) > 1 else "O"
    if tag.startswith("I-") and before not in (tag, f"B-{tag[2:]}"):
        context.notes["tags that begin an entity with I- (kept as they are)"] += 1


def _sentence(number: int, document: int, words: list[str], labels: list[str]) -> TaggingExample:
    identity = str(number)
    group = f"document-{document}" if document else identity
    return TaggingExample(identity, group, tuple(words), tuple(labels))
