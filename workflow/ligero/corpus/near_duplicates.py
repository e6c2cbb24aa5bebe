"""Documents (or lines) that nearly repeat an earlier one: MinHash signatures in bands, streaming and in bounded memory.

Two texts of Jaccard similarity s over their shingles agree in at least one of b bands of r values with probability
1 - (1 - s**r)**b (Leskovec, Rajaraman, Ullman 2020, Mining of Massive Datasets, section 3.4), a steep curve around
(1/b)**(1/r). As is usual at this scale, agreement in a band decides and signatures are not compared again.
"""

from __future__ import annotations

import numpy as np
import xxhash
from numpy.typing import NDArray

from ligero.common.counter_rng import splitmix64
from ligero.corpus.exact_duplicates import Hashes, SeenHashes
from ligero.settings.corpus import NearDuplicates

PERMUTATIONS = 128
SEED = 1
TEXTS_AT_A_TIME = 1024
BYTES_PER_HASH = 32
"""Eight in each of two generations, and as much again while sorted runs are merged."""


def bands_and_rows(similarity: float) -> tuple[int, int]:
    """(bands, values a band) whose curve is steepest nearest to a similarity."""
    choices = [(PERMUTATIONS // rows, rows) for rows in range(1, PERMUTATIONS + 1)]
    return min(choices, key=lambda choice: abs((1 / choice[0]) ** (1 / choice[1]) - similarity))


def units_of(text: bytes, unit: str) -> list[bytes]:
    """The documents, or the lines, of clean text."""
    if unit == "line":
        return [line for line in text.split(b"\n") if line]
    return [document for document in text.strip(b"\n").split(b"\n\n") if document]


def band_hashes(units: list[bytes], settings: NearDuplicates) -> Hashes:
    """One 64-bit hash a band for each text (texts x bands)."""
    bands, rows = bands_and_rows(settings.similarity)
    # A few texts at a time, since signatures are Python integers for a moment.
    chunks = [units[start : start + TEXTS_AT_A_TIME] for start in range(0, len(units), TEXTS_AT_A_TIME)]
    hashes = [_bands_of(chunk, settings.shingle_words, bands, rows) for chunk in chunks]
    return np.concatenate([np.zeros((0, bands), dtype=np.uint64), *hashes])


def _bands_of(units: list[bytes], shingle_words: int, bands: int, rows: int) -> Hashes:
    from rensa import RMinHash

    shingles, offsets = _shingles(units, shingle_words)
    digests = RMinHash.digest_matrix_from_flat_token_hashes(shingles, offsets, PERMUTATIONS, SEED)
    signatures = np.array(digests.to_rows(), dtype=np.uint64)[:, : bands * rows].reshape(-1, bands, rows)
    hashes: Hashes = np.broadcast_to(np.arange(1, bands + 1, dtype=np.uint64), signatures.shape[:2])
    for row in range(rows):
        hashes = splitmix64(hashes ^ signatures[:, :, row])
    return hashes


def _shingles(units: list[bytes], length: int) -> tuple[Hashes, NDArray[np.uint64]]:
    """Hashes of every run of `length` words, text after text, and where each text's begin and end.

    A text of fewer words is one shingle, so that copies of it are found all the same.
    """
    words = [unit.split() for unit in units]
    counts = np.array([len(text) for text in words])
    shingles = np.maximum(counts - length + 1, 1)
    # Each text is followed by nothing, length - 1 times, so that windows that start in it never reach the next one.
    padded = counts + length - 1
    starts = np.concatenate([[0], np.cumsum(padded)])
    hashes = np.zeros(int(starts[-1]), dtype=np.uint64)
    places = np.arange(counts.sum()) + np.repeat(np.arange(len(units)) * (length - 1), counts)
    hashes[places] = np.fromiter(
        (xxhash.xxh3_64_intdigest(word) for text in words for word in text), np.uint64, int(counts.sum())
    )
    offsets = np.concatenate([[0], np.cumsum(shingles)])
    windows = np.arange(offsets[-1]) + np.repeat(starts[:-1] - offsets[:-1], shingles)
    combined = np.zeros(len(windows), dtype=np.uint64)
    for place in range(length):
        combined = splitmix64(combined ^ hashes[windows + place])
    return combined, offsets.astype(np.uint64)


class SeenTexts:
    """The bands of the texts kept so far; when memory is full, the older half of them is forgotten."""

    def __init__(self, settings: NearDuplicates) -> None:
        self._limit = (settings.memory_mb << 20) // BYTES_PER_HASH
        self._recent, self._older = SeenHashes(), SeenHashes()
        self.forgotten = 0
        """Hashes forgotten so far."""

    def __len__(self) -> int:
        return len(self._recent) + len(self._older)

    def first_time(self, bands: Hashes) -> list[bool]:
        """Which of these texts (texts x bands) resemble none that was kept before, in order; they are remembered."""
        known = self._recent.contains(bands.ravel()) | self._older.contains(bands.ravel())
        new: NDArray[np.bool_] = ~np.any(known.reshape(bands.shape), axis=1)
        _, inverse, counts = np.unique(bands.ravel(), return_inverse=True, return_counts=True)
        # Only texts that share a band with another one of these depend on what is kept of them.
        entangled = np.any((counts[inverse] > 1).reshape(bands.shape), axis=1)
        kept: set[int] = set()
        for text in np.flatnonzero(new & entangled).tolist():
            hashes = bands[text].tolist()
            new[text] = kept.isdisjoint(hashes)
            if new[text]:
                kept.update(hashes)
        self._remember(np.unique(bands[new]))
        return [bool(is_new) for is_new in new.tolist()]

    def _remember(self, hashes: Hashes) -> None:
        if len(self._recent) and len(self._recent) + len(hashes) > self._limit:
            self.forgotten += len(self._older)
            self._recent, self._older = SeenHashes(), self._recent
        self._recent.add(hashes)


def drop_near_duplicates(text: bytes, bands: Hashes, seen: SeenTexts, unit: str) -> tuple[bytes, int]:
    """Clean text without what nearly repeats earlier text, and how many lines that were.

    Args:
        text: lines with line feeds, one empty line between documents.
        bands: `band_hashes` of the units of this very text.
        seen: what was kept before.
        unit: "document" or "line".
    """
    new = iter(seen.first_time(bands))
    documents = [document.split(b"\n") for document in units_of(text, "document")]
    if unit == "line":
        kept = [[line for line in document if line and next(new)] for document in documents]
    else:
        kept = [document for document in documents if next(new)]
    lines = [[line for line in document if line] for document in kept]
    dropped = sum(bool(line) for document in documents for line in document) - sum(map(len, lines))
    return b"\n".join(b"".join(line + b"\n" for line in document) for document in lines if document), dropped
