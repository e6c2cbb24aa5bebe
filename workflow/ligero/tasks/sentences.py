"""Sentences of words: CoNLL columns (Tjong Kim Sang 2002, 2003) and CoNLL-U (Universal Dependencies). Needs no pydantic."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ligero.tasks.lines import Notes, Problems, read_lines

UNENDED_SENTENCE = "files whose last sentence has no blank line after it (complete, or cut off there?)"
DOCUMENT_START = "-DOCSTART-"

_COLUMNS_COMMENT = re.compile(r"# (id|sent_id|text|newdoc|newpar|global\.columns)\b")
_OF_COMMENTS = "Of lines with a # only those are comments that begin with '# id', '# sent_id', '# text', '# newdoc' or '# newpar'; remove others."
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


def read_sentences(path: Path, notes: Notes, problems: Problems, least: int = 2) -> Iterator[ColumnSentence]:
    """The sentences of a file of columns, for tasks, for the scoring of predictions and for predicting alike.

    Columns are separated by tabs where a line has any (words may then hold spaces), else by spaces. A document mark
    (`-DOCSTART-`) ends a sentence as a blank line does. Comments (`# id ...`, `# text = ...`) are counted and passed over;
    within a sentence, what has the file's columns, separated by tabs, is none.

    Args:
        problems: gets an error for each row that has another number of columns than the first one, or an empty cell.
        least: columns that there must be; one holds the words.
    """
    document, columns, first, head = 0, 0, 0, ""
    current = ColumnSentence(document)
    for line, text in read_lines(path, notes):
        is_mark = text.startswith(DOCUMENT_START)
        if not text.strip() or is_mark:
            if current.rows:
                yield current
            document += is_mark
            current = ColumnSentence(document)
            continue
        has_tabs = "\t" in text.rstrip()
        cells = text.rstrip("\t ").split("\t") if has_tabs else _SPACES.split(text.rstrip())
        is_row = bool(current.rows) and has_tabs and len(cells) == columns
        if _COLUMNS_COMMENT.match(text) and not is_row:
            notes["comment lines passed over"] += 1
            continue
        if not columns and len(cells) >= least:
            columns, first, head = len(cells), line, text[:1]
        if len(cells) < least or not all(cells):
            problems.add(
                path,
                line,
                f"expected columns 'word ... tag', found {text!r}.",
                "Columns are separated by spaces or tabs; a truncated file must be fetched again.",
            )
        elif len(cells) != columns:
            problems.add(
                path,
                line,
                f"expected {columns} columns as on line {first}, found {len(cells)}: {text!r}.",
                _OF_COMMENTS
                if "#" in (text[:1], head)
                else "Columns are separated by spaces, or by tabs where words hold spaces.",
            )
        else:
            current.rows.append((line, cells))
    if current.rows:
        notes[UNENDED_SENTENCE] += 1
        yield current


COLUMNS = 10
_WORD = re.compile(r"[1-9][0-9]{0,8}")  # more digits are no place in a sentence
_RANGE = re.compile(r"([1-9][0-9]{0,8})-([1-9][0-9]{0,8})")
_EMPTY_NODE = re.compile(r"[0-9]+\.[1-9][0-9]*")
NUMBER = re.compile("|".join(number.pattern for number in (_WORD, _RANGE, _EMPTY_NODE)))
"""The first cell of a row of CoNLL-U."""
_COMMENT = re.compile(r"#\s*(?P<key>sent_id|newdoc)\b(?:\s+id)?\s*=?\s*(?P<value>.*)")


@dataclass
class TreebankSentence:
    """A sentence as written in a file.

    Attributes:
        line: its first one.
        document: number of the document mark (`# newdoc`) before it; 0 before the first one.
        document_id: the mark's id, empty where it has none.
        identity: its `sent_id`, empty where it has none.
        rows: (line number, form, UPOS) of each word.
        word_lines: how many lines are no comments.
        last: number of the last syntactic word.
        combined: number of the last one that a multiword range combines.
    """

    line: int
    document: int
    document_id: str
    identity: str = ""
    rows: list[tuple[int, str, str]] = field(default_factory=list)
    word_lines: int = 0
    last: int = 0
    combined: int = 0


def read_treebank(
    path: Path, notes: Notes, problems: Problems, keeps_ranges: bool = False
) -> Iterator[TreebankSentence]:
    """The sentences of a CoNLL-U file, for tasks, for the scoring of predictions and for predicting alike.

    Multiword ranges (`1-2 del`) are skipped, because the words that they combine follow, and so are empty nodes
    (`8.1`). With `keeps_ranges` a range comes before its words with its own UPOS, `_`: that is how the thesis
    comes to 18 categories, one more than Universal Dependencies have. Comments are read as UD 2 writes them
    (`# sent_id = x`) and as UD 1 did (`# sent_id x`).

    Args:
        problems: gets an error for each bad row and for sentences without words.
    """
    current: TreebankSentence | None = None
    document, document_id = 0, ""
    for line, text in read_lines(path, notes):
        if not text.strip():
            if current is not None and current.rows:
                _check_ranges(current, path, problems)
                yield current
            elif current is not None and current.identity and not current.word_lines:
                problems.add(path, line, f"the sentence begun on line {current.line} has no words.")
            current = None
            continue
        current = current or TreebankSentence(line, document, document_id)
        if not text.startswith("#"):
            current.word_lines += 1
            _add_word(current, path, line, text, notes, problems, keeps_ranges)
        elif comment := _COMMENT.match(text):
            if comment["key"] == "sent_id":
                current.identity = comment["value"].strip()
            else:
                document, document_id = document + 1, comment["value"].strip()
                current.document, current.document_id = document, document_id
    if current is not None and current.rows:
        notes[UNENDED_SENTENCE] += 1
        _check_ranges(current, path, problems)
        yield current
    elif current is not None and current.identity and not current.word_lines:
        problems.add(path, current.line, "the last sentence has no words: the file is truncated.")


def _check_ranges(sentence: TreebankSentence, path: Path, problems: Problems) -> None:
    if sentence.combined > sentence.last:
        found = f"a range combines words up to {sentence.combined}, but the sentence ends with word {sentence.last}."
        problems.add(path, sentence.rows[-1][0], found, "Fetch the file again.")


def _add_word(
    sentence: TreebankSentence,
    path: Path,
    line: int,
    text: str,
    notes: Notes,
    problems: Problems,
    keeps_ranges: bool,
) -> None:
    def refuse(problem: str) -> None:
        problems.add(path, line, problem, "Fetch the file again.")

    cells = text.split("\t")
    if len(cells) != COLUMNS:
        refuse(f"expected {COLUMNS} tab-separated columns, found {len(cells)}.")
        return
    identity, form, upos = cells[0], cells[1], cells[3]
    if _EMPTY_NODE.fullmatch(identity):
        return
    expected = sentence.last + 1
    if combined := _RANGE.fullmatch(identity):
        first, last = map(int, combined.groups())
        if first != expected or last <= first:
            refuse(f"expected a range from word {expected} to a later one, found {identity!r}.")
            return
        sentence.combined = max(sentence.combined, last)
        if not keeps_ranges:
            return
        notes["multiword ranges kept as words with the tag _"] += 1
    elif not _WORD.fullmatch(identity):
        refuse(f"expected word number {expected}, found {identity[:20]!r}.")
        return
    else:
        sentence.last = int(identity)
        if sentence.last != expected:
            refuse(f"expected word number {expected}, found {identity!r}.")
            return
    if not form:
        refuse(f"the form (column 2) of word {identity} is empty.")
        return
    sentence.rows.append((line, form, upos))
