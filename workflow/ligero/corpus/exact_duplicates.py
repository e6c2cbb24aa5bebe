"""Exact removal of repeated lines over a corpus of any size, at 8 bytes of memory a different line."""

from __future__ import annotations

import numpy as np
import xxhash
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]


def line_hashes(lines: list[bytes]) -> Hashes:
    """64-bit xxh3 hashes of lines. Two different lines of a corpus of 300 M share one with probability 0.2 %."""
    return np.fromiter(map(xxhash.xxh3_64_intdigest, lines), dtype=np.uint64, count=len(lines))


class SeenHashes:
    """A growing set of 64-bit hashes, in sorted runs whose sizes at least double (a log-structured merge)."""

    def __init__(self) -> None:
        self._runs: list[Hashes] = []

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    def contains(self, hashes: Hashes) -> NDArray[np.bool_]:
        """Which of these are in the set."""
        known = np.zeros(len(hashes), dtype=bool)
        for run in self._runs:
            place = np.searchsorted(run, hashes)
            place[place == len(run)] = 0
            known |= run[place] == hashes
        return known

    def add(self, hashes: Hashes) -> None:
        """Add hashes that are sorted, each once, and not in the set yet."""
        if not len(hashes):
            return
        self._runs.append(hashes)
        while len(self._runs) > 1 and len(self._runs[-2]) < 2 * len(self._runs[-1]):
            last = self._runs.pop()
            self._runs[-1] = np.sort(np.concatenate([self._runs[-1], last]), kind="stable")


class SeenLines(SeenHashes):
    """The hashes of all lines so far."""

    def first_time(self, hashes: Hashes) -> NDArray[np.bool_]:
        """Which of these lines are new, counting repetitions among themselves; they are remembered."""
        new = np.zeros(len(hashes), dtype=bool)
        values, firsts = np.unique(hashes, return_index=True)
        known = self.contains(values)
        new[firsts[~known]] = True
        self.add(values[~known])
        return new


def drop_repeated(text: bytes, seen: SeenLines) -> tuple[bytes, int]:
    """Clean text without the lines seen before, and how many were dropped; emptied documents vanish."""
    documents = [document.split(b"\n") for document in text.strip(b"\n").split(b"\n\n")] if text else []
    new = iter(seen.first_time(line_hashes([line for document in documents for line in document])).tolist())
    kept = [[line for line in document if next(new)] for document in documents]
    dropped = sum(map(len, documents)) - sum(map(len, kept))
    return b"\n".join(b"".join(line + b"\n" for line in document) for document in kept if document), dropped
