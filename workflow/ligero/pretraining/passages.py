"""Passages of the cleaned corpus: a seeded share of it, from everywhere, in the order of the text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ligero.common.counter_rng import uniform
from ligero.corpus.reading import read_blocks

PASSAGE_CHARACTERS = 2000
_CHOICE = 41


def passages(path: Path, seed: int, share: float) -> Iterator[list[str]]:
    """Passages of clean text, each of whole lines, drawn with probability `share`; those of a smaller share are among them.

    A passage ends with its document, or with the first line after which it has PASSAGE_CHARACTERS characters: a novel is not drawn
    whole.
    """
    number, lines, characters = 0, list[str](), 0
    for block in read_blocks(path):
        # A document never spans two blocks.
        for line in [*block.decode("utf-8").split("\n"), ""]:
            if line:
                lines.append(line)
                characters += len(line)
            if lines and (not line or characters >= PASSAGE_CHARACTERS):
                if float(uniform(seed, _CHOICE, number)) < share:
                    yield lines
                number, lines, characters = number + 1, [], 0
