"""The texts of a prepared split, without labels: what a vocabulary has to read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ligero.common.records import check_listed
from ligero.tasks.records import EXAMPLES_REMEDY

_LETTERS = re.compile(r"[^\W\d_]+")


def plain_key(text: str) -> str:
    """What two texts share when they say the same words, whatever their case, punctuation, figures and spacing."""
    return " ".join(_LETTERS.findall(text.casefold()))


def split_texts(path: Path) -> Iterator[str]:
    """Every text of a split: both of a pair, the words of a tagged sentence, each question, and each context once."""
    import pyarrow.parquet as pq

    table = pq.read_table(check_listed(path.with_name("info.json"), path.name, EXAMPLES_REMEDY))
    if "words" in table.schema.names:
        yield from (" ".join(words) for words in table["words"].to_pylist())
    elif "question" in table.schema.names:
        yield from table["question"].to_pylist()
        yield from dict.fromkeys(table["context"].to_pylist())
    else:
        yield from table["text"].to_pylist()
        yield from (text for text in table["second_text"].to_pylist() if text)
