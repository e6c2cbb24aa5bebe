"""CoNLL-U (Universal Dependencies): ten tab-separated columns a word; the label is UPOS."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ligero.common.errors import DataError
from ligero.tasks.examples import TaggingExample
from ligero.tasks.readers.context import ReaderContext
from ligero.tasks.readers.lines import read_lines

COLUMNS = 10
_WORD = re.compile(r"[1-9][0-9]*")
_RANGE = re.compile(r"[1-9][0-9]*-[1-9][0-9]*")
_EMPTY_NODE = re.compile(r"[0-9]+\.[1-9][0-9]*")


class _Sentence:
    """A sentence while it is being read."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.comments: dict[str, str] = {}
        self.numbered = 0
        self.words: list[str] = []
        self.labels: list[str] = []


def read_conllu(path: Path, context: ReaderContext) -> Iterator[TaggingExample]:
    """Read syntactic words and their UPOS.

    Multiword ranges (`1-2 del`) are passed over, because the words they stand for follow, and so are empty nodes
    (`8.1`). With `context.keeps_ranges` a range stands before its words with its own UPOS, `_`: that is how the thesis
    comes to 18 categories, one more than Universal Dependencies have.

    Raises:
        DataError: a row that has not ten columns, words out of order, a tag outside the label set, or a last sentence
            without the blank line that ends it (the file is truncated).
    """
    current: _Sentence | None = None
    document: str | None = None
    number, line = 0, 0
    for line, text in read_lines(path):
        if not text:
            if current is not None and current.words:
                yield _finish(current, number, document)
                number += 1
            elif current is not None and "newdoc" not in current.comments:
                raise DataError(path, line, f"the sentence begun on line {current.line} has no words.")
            current = None
            continue
        current = current or _Sentence(line)
        if text.startswith("#"):
            key, _, value = text[1:].partition("=")
            current.comments[key.strip().partition(" ")[0]] = value.strip()
            if key.strip().startswith("newdoc"):
                document = value.strip() or f"document-{line}"
        else:
            _add_word(current, path, line, text, context)
    if current is not None:
        raise DataError(
            path,
            line,
            f"the sentence begun on line {current.line} is not ended by a blank line: the file is truncated.",
            "Fetch it again.",
        )


def _add_word(sentence: _Sentence, path: Path, line: int, text: str, context: ReaderContext) -> None:
    cells = text.split("\t")
    if len(cells) != COLUMNS:
        raise DataError(
            path,
            line,
            f"expected {COLUMNS} tab-separated columns, found {len(cells)}.",
            "Fetch the file again.",
        )
    identity, form, upos = cells[0], cells[1], cells[3]
    is_range = _RANGE.fullmatch(identity) is not None
    if _EMPTY_NODE.fullmatch(identity) or (is_range and not context.keeps_ranges):
        return
    expected = sentence.numbered + 1
    if is_range:
        if int(identity.partition("-")[0]) != expected:
            raise DataError(
                path,
                line,
                f"expected a range from word {expected}, found {identity!r}.",
                "Fetch the file again.",
            )
        context.notes["multiword ranges kept as words with the tag _"] += 1
    elif not _WORD.fullmatch(identity) or int(identity) != expected:
        raise DataError(
            path, line, f"expected word number {expected}, found {identity!r}.", "Fetch the file again."
        )
    else:
        sentence.numbered = expected
    sentence.words.append(form)
    sentence.labels.append(context.check_label(path, line, upos, form))


def _finish(sentence: _Sentence, number: int, document: str | None) -> TaggingExample:
    identity = sentence.comments.get("sent_id") or str(number)
    # AnCora and GSD mark no documents: there each sentence is a group of its own.
    return TaggingExample(
        identity, identity if document is None else document, tuple(sentence.words), tuple(sentence.labels)
    )
