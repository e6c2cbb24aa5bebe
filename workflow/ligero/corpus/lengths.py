"""How long lines and documents are: counted in bins of a quarter of a doubling, so that memory does not grow with text."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

EDGES: Integers = np.unique(np.round(2.0 ** (np.arange(4 * 30 + 1) / 4)).astype(np.int64))
"""First length of each bin, from 1 to 2**30; bin n ends before EDGES[n + 1], the last one is open."""


def continuation_bytes(data: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which bytes of UTF-8 continue a character: 0x80 to 0xBF, which as signed numbers are those below -64."""
    continuation: NDArray[np.bool_] = data.view(np.int8) < -64
    return continuation


def line_lengths(text: bytes) -> Integers:
    """Characters of each line, without its line feed; `text` ends with one."""
    data = np.frombuffer(text, dtype=np.uint8)
    ends = np.flatnonzero(data == 0x0A)
    # Characters = bytes less continuation bytes; counting only at the places of the latter is cheap, they are few.
    before = np.searchsorted(np.flatnonzero(continuation_bytes(data)), ends)
    return np.diff(ends + 1 - before, prepend=0) - 1


def document_lengths(lengths: Integers) -> Integers:
    """Characters of each document, without line feeds, from those of all lines; empty lines separate documents."""
    filled = lengths > 0
    starts = np.flatnonzero(filled & ~np.concatenate([[False], filled[:-1]]))
    return np.add.reduceat(lengths, starts) if len(starts) else lengths[:0]


def histogram(lengths: Integers) -> Integers:
    """How many lengths fall into each bin; lengths of 0 are left out."""
    places = np.searchsorted(EDGES, lengths[lengths > 0], side="right") - 1
    return np.bincount(places, minlength=len(EDGES)).astype(np.int64)
