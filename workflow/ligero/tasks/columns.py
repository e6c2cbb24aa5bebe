"""Tagged sentences in columns (`word ... tag`, a blank line after each): predictions are kept and re-scored in this form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ligero.common.errors import DataError, MismatchError
from ligero.common.files import write_text
from ligero.tasks.readers.conll2002 import DOCUMENT_START
from ligero.tasks.readers.lines import read_lines

TaggedLine = tuple[int, str, str]
"""(line number, word, tag)."""


def read_columns(path: Path, keeps_ranges: bool = False) -> list[list[TaggedLine]]:
    """Sentences of a file with the word in the first column and the tag in the last.

    Columns are parted by tabs where a line has any (words may then hold spaces), else by spaces. In CoNLL-U files the
    tag is UPOS; empty nodes and comments are passed over, and so are ranges.

    Args:
        keeps_ranges: multiword ranges (`1-2 del`) of CoNLL-U are words with a tag of their own, `_`: what a task with
            `multiword_ranges: keep` was predicted on.

    Raises:
        DataError: a line with a single column, or a file without sentences.
    """
    is_conllu = path.suffix == ".conllu"
    sentences: list[list[TaggedLine]] = [[]]
    for number, line in read_lines(path):
        if not line.strip():
            sentences.append([])
        elif not line.startswith(DOCUMENT_START) and not (is_conllu and line.startswith("#")):
            cells = line.split("\t") if "\t" in line else line.rstrip(" ").split(" ")
            if len(cells) < 2 or (is_conllu and len(cells) != 10):
                raise DataError(path, number, f"expected columns 'word ... tag', found {line!r}.")
            if not is_conllu:
                sentences[-1].append((number, cells[0], cells[-1]))
            elif cells[0].isdigit() or (keeps_ranges and "-" in cells[0]):
                sentences[-1].append((number, cells[1], cells[3]))
    filled = [sentence for sentence in sentences if sentence]
    if not filled:
        raise DataError(path, None, "holds no sentences.")
    return filled


def aligned_tags(
    references: Path, predictions: Path, keeps_ranges: bool = False
) -> tuple[list[list[str]], list[list[str]]]:
    """Tags of two files of the same sentences, word by word; `keeps_ranges` as for `read_columns`.

    Raises:
        MismatchError: at the first line where sentences or words differ.
    """
    gold, predicted = read_columns(references, keeps_ranges), read_columns(predictions, keeps_ranges)
    for one, other in zip(gold, predicted, strict=False):
        for (line, word, _), (other_line, other_word, _) in zip(one, other, strict=False):
            if word != other_word:
                raise MismatchError(
                    f"{predictions}:{other_line}: word {other_word!r}, but {references}:{line} has {word!r}; "
                    "predictions must hold the references' words in their order"
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
