"""CoNLL columns (Tjong Kim Sang 2002, 2003): a word a line, its tag in the last column, sentences apart by blank lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ligero.common.errors import DataError
from ligero.tasks.examples import TaggingExample
from ligero.tasks.readers.context import ReaderContext, content_group
from ligero.tasks.sentences import read_sentences


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
        for line, cells in sentence.rows:
            if cells[-1 if tag is None else tag - 1] in ("B-", "I-"):
                context.problems.add(
                    path, line, f"the tag of {cells[word]!r} ends with its hyphen.", "Write which entity it is, as in B-LOC, or O."
                )  # fmt: skip
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
