"""Counts of a corpus: what each part held, what cleaning left, what it dropped and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NotRequired, TypedDict, cast

import numpy as np
from numpy.typing import NDArray

from ligero.common.records import check_listed, read_record, write_record
from ligero.corpus.lengths import (
    EDGES,
    Integers,
    continuation_bytes,
    document_lengths,
    histogram,
    line_lengths,
)


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


class PartRecord(TypedDict):
    """What statistics.json says of a part of the corpus, or of the whole."""

    raw: dict[str, int]
    """The fields of Counts."""
    clean: dict[str, int]
    dropped_lines: dict[str, int]
    """By reason."""
    line_length_histogram: list[dict[str, int]]
    """Bins that are not empty: `from`, `to`, `lines`."""
    document_length_histogram: list[dict[str, int]]
    """Likewise: `from`, `to`, `documents`."""
    files: NotRequired[dict[str, PartRecord]]
    """Of a part that is an archive, its files."""


class CorpusRecord(TypedDict):
    """What statistics.json holds."""

    parts: dict[str, PartRecord]
    total: PartRecord
    documents: dict[str, int]
    """In each split."""
    near_duplicate_hashes_forgotten: NotRequired[int]
    files: NotRequired[dict[str, str]]
    """Of each split's text, by its name beside this record, the digest."""


def write_statistics(path: Path, statistics: CorpusRecord) -> None:
    write_record(path, statistics)


def read_statistics(path: Path) -> CorpusRecord:
    """Read a statistics.json.

    Raises:
        DataError: it is missing.
        DamagedError: it is not what was written.
    """
    return cast(CorpusRecord, read_record(path))


def check_cleaned(text: Path) -> None:
    """Refuse a cleaned text, `FOLDER/clean/SPLIT.txt.zst`, that is not the one that `FOLDER/statistics.json` lists.

    Raises:
        DamagedError: it is damaged, or another split's.
    """
    remedy = "Clean the corpus again: snakemake --forcerun clean_corpus."
    check_listed(text.parent.parent / "statistics.json", f"{text.parent.name}/{text.name}", remedy)


@dataclass
class PartStatistics:
    """Counts of one part of the corpus, before and after cleaning."""

    raw: Counts = field(default_factory=Counts)
    clean: Counts = field(default_factory=Counts)
    dropped: Counter[str] = field(default_factory=Counter)
    """Lines dropped by reason: url, listing, short, duplicate."""
    line_lengths: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(EDGES), dtype=np.int64))
    """Clean lines by length, in the bins of `lengths.EDGES`."""
    document_lengths: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(EDGES), dtype=np.int64))
    """Documents by the length of what cleaning left of them."""

    def add(self, other: PartStatistics) -> None:
        self.raw.add(other.raw)
        self.clean.add(other.clean)
        self.dropped.update(other.dropped)
        self.line_lengths += other.line_lengths
        self.document_lengths += other.document_lengths

    def count_clean(self, text: bytes) -> None:
        """Count a clean text (its white space single spaces and line feeds), in place of what was counted so far."""
        lengths = line_lengths(text)
        of_documents = document_lengths(lengths)
        lines = int(np.count_nonzero(lengths))
        self.clean = Counts(
            lines=lines,
            tokens=int(np.count_nonzero(np.frombuffer(text, dtype=np.uint8) == 0x20)) + lines,
            characters=int(lengths.sum()),
            bytes=len(text),
            documents=len(of_documents),
        )
        self.line_lengths = histogram(lengths)
        self.document_lengths = histogram(of_documents)

    def record(self) -> PartRecord:
        """What statistics.json says of the part."""
        return {
            # Copies: some of these are added to afterwards.
            "raw": asdict(self.raw),
            "clean": asdict(self.clean),
            "dropped_lines": dict(sorted(self.dropped.items())),
            "line_length_histogram": _filled_bins(self.line_lengths, "lines"),
            "document_length_histogram": _filled_bins(self.document_lengths, "documents"),
        }


def _filled_bins(counts: NDArray[np.int64], what: str) -> list[dict[str, int]]:
    """Every bin that is not empty: its first and last length in characters, and how many."""
    ends = [*(EDGES[1:] - 1).tolist(), int(EDGES[-1])]
    return [
        {"from": start, "to": end, what: count}
        for start, end, count in zip(EDGES.tolist(), ends, counts.tolist(), strict=True)
        if count
    ]


def text_statistics(flat: bytes, ends: Integers | None = None) -> Counts:
    """Counts of a text whose white space is single spaces and line feeds, and which starts with an extra line feed.

    Args:
        ends: the places of the line feeds, where they are known.
    """
    data = np.frombuffer(flat, dtype=np.uint8)
    ends = np.flatnonzero(data == 0x0A) if ends is None else ends
    filled = np.diff(ends) > 1
    lines = int(np.count_nonzero(filled))
    continuation = int(np.count_nonzero(continuation_bytes(data)))
    starts = filled.copy()
    starts[1:] &= ~filled[:-1]
    return Counts(
        lines=lines,
        tokens=int(np.count_nonzero(data == 0x20)) + lines,
        characters=len(flat) - len(ends) - continuation,
        bytes=len(flat) - 1 if flat else 0,
        documents=int(np.count_nonzero(starts)),
    )
