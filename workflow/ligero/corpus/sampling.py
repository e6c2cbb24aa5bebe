"""A seeded sample of lines of clean text, drawn in one pass over it with a known number of lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ligero.corpus.reading import read_blocks


def count_lines(path: Path) -> int:
    """Lines that are not empty."""
    return sum(len(_lines(block)) for block in read_blocks(path))


def _lines(block: bytes) -> list[bytes]:
    return [line for line in block.split(b"\n") if line]


def sample_lines(path: Path, wanted: int, seed: int, *, total: int | None = None) -> Iterator[str]:
    """Draw `wanted` lines without replacement (all where there are fewer), in the text's order.

    How many come from a block is hypergeometric, so every set of lines is equally likely and memory is one block.
    """
    remaining = count_lines(path) if total is None else total
    generator = np.random.default_rng(seed)
    wanted = min(wanted, remaining)
    for block in read_blocks(path):
        lines = _lines(block)
        if wanted == remaining:
            chosen = range(len(lines))
        else:
            count = int(generator.hypergeometric(len(lines), remaining - len(lines), wanted)) if wanted else 0
            chosen = np.sort(generator.choice(len(lines), count, replace=False)).tolist()
        for index in chosen:
            yield lines[index].decode("utf-8")
        wanted -= len(chosen)
        remaining -= len(lines)
