"""CoNLL columns (Tjong Kim Sang 2002, 2003): a word a line, its tag in the last column, sentences apart by blank lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ligero.common.errors import DataError
from ligero.tasks.examples import TaggingExample
from ligero.tasks.readers.context import UNENDED_SENTENCE, ReaderContext, content_group
from ligero.tasks.readers.lines import Notes, Problems, read_lines

DOCUMENT_START = "-DOCSTART-"

_COMMENT = re.compile(r"# (id|sent_id|text|newdoc|newpar|global\.columns)\b")
_SPACES = re.compile(" +")


@dataclass
class ColumnSentence:
    """A sentence as written in a file.

    Attributes:
        document: number of the document mark before it; 0 before the first one.
        rows: (line number, cells) of each word.
    """

    document: int
    rows: list[tuple[int, list[str]]] = field(default_factory=list)


def read_sentences(path: Path, notes: Notes, problems: Problems) -> Iterator[ColumnSentence]:
    """The sentences of a file of columns, for tasks and for the scoring of predictions alike.

    Columns are separated by tabs where a line has any (words may then hold spaces), else by spaces. A document mark
    (`-DOCSTART-`) ends a sentence as a blank line does. Comments (`# id ...`, `# text = ...`) are counted and passed over.

    Args:
        problems: gets an error for each row that has another number of columns than the first one, or an empty cell.
    """
    document, columns, first = 0, 0, 0
    current = ColumnSentence(document)
    for line, text in read_lines(path, notes):
        is_mark = text.startswith(DOCUMENT_START)
        if not text.strip() or is_mark:
            if current.rows:
                yield current
            document += is_mark
            current = ColumnSentence(document)
            continue
        if _COMMENT.match(text):
            notes["comment lines passed over"] += 1
            continue
        cells = text.rstrip("\t ").split("\t") if "\t" in text.rstrip() else _SPACES.split(text.rstrip())
        if not columns and len(cells) > 1:
            columns, first = len(cells), line
        if len(cells) < 2 or not all(cells):
            problems.add(
                path,
                line,
                f"expected columns 'word ... tag', found {text!r}.",
                "A truncated file must be fetched again.",
            )
        elif len(cells) != columns:
            problems.add(
                path,
                line,
                f"expected {columns} columns as on line {first}, found {len(cells)}: {text!r}.",
                "Columns are separated by spaces, or by tabs where words hold spaces.",
            )
        else:
            current.rows.append((line, cells))
    if current.rows:
        notes[UNENDED_SENTENCE] += 1
        yield current


def read_conll2002(path: Path, context: ReaderContext) -> Iterator[TaggingExample]:
    """Read word and tag of files with any number of columns; `columns.word` and `columns.tag` name others than first and last.

    The published Spanish files hold 8323 / 1915 / 1517 sentences. The thesis counts one more in each: the script it
    read them with made an empty sentence out of the blank line that ends each file. Where a file marks documents, its
    sentences are grouped by them; a document is named after its first sentence, so that others may come and go.

    Raises:
        DataError: a column that no row has.
    """
    word, tag = context.columns.word - 1, context.columns.tag
    sentences = list(read_sentences(path, context.notes, context.problems))
    marked = any(sentence.document for sentence in sentences)
    groups: dict[int, str] = {}
    for number, sentence in enumerate(sentences):
        line, cells = sentence.rows[0]
        if max(word + 1, tag or 1) > len(cells):
            raise DataError(
                path, line, f"{len(cells)} columns, but the task reads column {max(word + 1, tag or 1)}.",
                "Correct 'columns.word' or 'columns.tag' of the task; columns count from 1.",
            )  # fmt: skip
        words = tuple(cells[word] for _, cells in sentence.rows)
        labels = tuple(
            context.check_label(path, line, cells[-1 if tag is None else tag - 1])
            for line, cells in sentence.rows
        )
        _count_orphans(labels, context)
        own = content_group(words)
        yield TaggingExample(
            str(number), groups.setdefault(sentence.document, own) if marked else own, words, labels
        )


def _count_orphans(labels: tuple[str, ...], context: ReaderContext) -> None:
    """In IOB2 an I-X follows a B-X or an I-X; esp.train has an exception, so they are counted and not refused."""
    for before, tag in zip(("O", *labels), labels, strict=False):
        if tag.startswith("I-") and before not in (tag, f"B-{tag[2:]}"):
            context.notes["tags that begin an entity with I- (kept as they are)"] += 1
