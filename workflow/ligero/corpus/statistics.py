"""Counts of a corpus: what each part held, what cleaning left, what it dropped and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass
class Counts:
    """Size of a text. Lines are those that are not blank; tokens are words between white space; no line feeds counted."""

    lines: int = 0
    tokens: int = 0
    characters: int = 0
    bytes: int = 0
    documents: int = 0

    def add(self, other: Counts) -> None:
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass
class PartStatistics:
    """Counts of one part of the corpus, before and after cleaning."""

    raw: Counts = field(default_factory=Counts)
    clean: Counts = field(default_factory=Counts)
    dropped: Counter[str] = field(default_factory=Counter)
    """Lines dropped by reason: url, listing, short, duplicate."""
    histogram: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, dtype=np.int64))
    """Clean lines by length; entry n counts lines of 2**(n-1) to 2**n - 1 characters."""

    def add(self, other: PartStatistics) -> None:
        self.raw.add(other.raw)
        self.clean.add(other.clean)
        self.dropped.update(other.dropped)
        width = max(len(self.histogram), len(other.histogram))
        total = np.zeros(width, dtype=np.int64)
        total[: len(self.histogram)] += self.histogram
        total[: len(other.histogram)] += other.histogram
        self.histogram = total

    def as_json(self) -> dict[str, Any]:
        return {
            "raw": vars(self.raw),
            "clean": vars(self.clean),
            "dropped_lines": dict(sorted(self.dropped.items())),
            "line_length_histogram": [
                {"from": 1 << (n - 1), "to": (1 << n) - 1, "lines": int(count)}
                for n, count in enumerate(self.histogram)
                if n > 0
            ],
        }


def text_statistics(flat: bytes) -> Counts:
    """Counts of a text whose white space is single spaces and line feeds, and which starts with an extra line feed."""
    data = np.frombuffer(flat, dtype=np.uint8)
    ends = np.flatnonzero(data == 0x0A)
    filled = np.diff(ends) > 1
    lines = int(np.count_nonzero(filled))
    continuation = int(np.count_nonzero((data & 0xC0) == 0x80))
    starts = filled.copy()
    starts[1:] &= ~filled[:-1]
    return Counts(
        lines=lines,
        tokens=int(np.count_nonzero(data == 0x20)) + lines,
        characters=len(flat) - len(ends) - continuation,
        bytes=len(flat) - 1 if flat else 0,
        documents=int(np.count_nonzero(starts)),
    )
