"""Tagged sentences in columns (`word ... tag`, a blank line after each): predictions are kept and re-scored in this form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from ligero.common.errors import DataError, MismatchError
from ligero.common.files import write_text
from ligero.tasks.lines import read_lines
from ligero.tasks.readers.context import ReaderContext
from ligero.tasks.sentences import COLUMNS, NUMBER, read_sentences, read_treebank

TaggedLine = tuple[int, str, str]
"""(line number, word, tag)."""


def read_columns(path: Path, keeps_ranges: bool = False) -> list[list[TaggedLine]]:
    """Sentences of a file with the word in the first column and the tag in the last, or of a CoNLL-U file (the tag is UPOS).

    The readers are those of the tasks. What kind a file is, its first word tells: ten columns of which the first is a
    number, as words, ranges and empty nodes have.

    Args:
        keeps_ranges: multiword ranges (`1-2 del`) of CoNLL-U are words with a tag of their own, `_`: what a task with
            `multiword_ranges: keep` was predicted on.

    Raises:
        DataError: bad rows, or a file without sentences.
        CombinedError: bad rows of several kinds, as tasks report them.
    """
    context = ReaderContext()
    if _is_treebank(path):
        treebank = list(read_treebank(path, context.notes, context.problems, keeps_ranges))
        sentences = [sentence.rows for sentence in treebank]
    else:
        found = list(read_sentences(path, context.notes, context.problems))
        sentences = [[(line, cells[0], cells[-1]) for line, cells in sentence.rows] for sentence in found]
    context.raise_problems()
    if not sentences:
        raise DataError(path, None, "holds no sentences.")
    return sentences


def _is_treebank(path: Path) -> bool:
    """Whether a file is CoNLL-U, by its first line that is no comment."""
    for _, line in read_lines(path, Counter()):
        if line.strip() and not line.startswith("#"):
            cells = line.split("\t")
            return len(cells) == COLUMNS and NUMBER.fullmatch(cells[0]) is not None
    return False


def aligned_tags(
    references: Path, predictions: Path, keeps_ranges: bool = False
) -> tuple[list[list[str]], list[list[str]]]:
    """Tags of two files of the same sentences, word by word; `keeps_ranges` as for `read_columns`.

    Raises:
        MismatchError: at the first line where sentences or words differ.
    """
    gold, predicted = read_columns(references, keeps_ranges), read_columns(predictions, keeps_ranges)
    for number, (one, other) in enumerate(zip(gold, predicted, strict=False)):
        for place, ((line, word, _), (other_line, other_word, _)) in enumerate(zip(one, other, strict=False)):
            if word != other_word:
                remedy = "predictions must hold the references' words in their order"
                if not keeps_ranges and read_columns(references, True)[number][place][1] == other_word:
                    remedy = "the references have it as a multiword range: give --multiword-ranges keep"
                raise MismatchError(
                    f"{predictions}:{other_line}: word {other_word!r}, but {references}:{line} has {word!r}; {remedy}"
                )
        if len(one) != len(other):
            raise MismatchError(
                f"{predictions}:{other[-1][0]}: the sentence ends after {len(other)} words, but at "
                f"{references}:{one[0][0]} it has {len(one)}"
            )
    if len(gold) != len(predicted):
        raise MismatchError(f"{predictions}: {len(predicted)} sentences, but {references} has {len(gold)}")
    return [[tag for *_, tag in one] for one in gold], [[tag for *_, tag in one] for one in predicted]


def write_columns(
    path: Path,
    words: Iterable[Sequence[str]],
    gold: Iterable[Sequence[str]],
    predicted: Iterable[Sequence[str]],
) -> None:
    """Write `word<TAB>gold<TAB>predicted`, atomically."""
    lines = []
    for sentence in zip(words, gold, predicted, strict=True):
        lines += ["\t".join(row) for row in zip(*sentence, strict=True)]
        lines.append("")
    write_text(path, "\n".join(lines) + "\n")
