"""The token store: a corpus as token ids on disk, mapped into memory, with the places of its documents and lines.

A split is `NAME.bin` (ids, little-endian uint16 or uint32, no special tokens), `NAME.documents.npy` and
`NAME.segments.npy` (uint64: where each document and each line starts, and at last where the ids end). `store.json` says
what belongs together and records the digest of every file.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from ligero.common.records import DamagedError, check_file, digests_of, read_record, write_record

STORE_FILE = "store.json"
Ids = NDArray[np.uint16] | NDArray[np.uint32]
Offsets = NDArray[np.uint64]
REMEDY = "Encode the corpus again: delete the folder and start snakemake again."


@dataclass(frozen=True)
class SplitInfo:
    """How much a split holds."""

    tokens: int
    documents: int
    segments: int
    """Lines."""


@dataclass(frozen=True)
class StoreInfo:
    """What store.json holds."""

    dtype: str
    """Of the ids, as numpy writes it: <u2 or <u4."""
    tokenizer: str
    """Checksum of the tokenizer_info.json of the tokenizer that made the ids."""
    splits: dict[str, SplitInfo]
    files: dict[str, str]
    """Digest of each file."""

    @classmethod
    def read(cls, folder: Path) -> StoreInfo:
        """Read the store.json of `folder`.

        Raises:
            DataError: it is missing.
            DamagedError: it is not what was written.
        """
        path = folder / STORE_FILE
        values = read_record(path, REMEDY)
        try:
            values["splits"] = {name: SplitInfo(**split) for name, split in values["splits"].items()}
            return cls(**values)
        except (TypeError, KeyError, AttributeError) as error:
            raise DamagedError(path, None, f"does not describe a token store: {error}.", REMEDY) from error

    def write(self, folder: Path) -> None:
        write_record(folder / STORE_FILE, asdict(self))


@dataclass(frozen=True)
class TokenStore:
    """One split of an encoded corpus, opened for reading; its length is the number of tokens.

    Attributes:
        tokens: all ids, memory-mapped, shape [tokens].
        documents: start of each document in `tokens`, then the end; shape [documents + 1].
        segments: start of each line, then the end; shape [segments + 1]. Every document starts at a segment.
        info: what store.json says of all splits.
    """

    tokens: Ids
    documents: Offsets
    segments: Offsets
    info: StoreInfo

    @classmethod
    def open(cls, folder: Path | str, split: str = "train") -> TokenStore:
        """Open a split. Sizes and offsets are checked, and the digests of the offsets; `check_tokens` checks that of the ids.

        Raises:
            DataError: there is no store, or it has no such split.
            DamagedError: files are missing, cut short, or not what was written.
        """
        folder = Path(folder)
        info = StoreInfo.read(folder)
        if split not in info.splits:
            raise DamagedError(folder / STORE_FILE, None, f"has no split '{split}'.", REMEDY)
        counts = info.splits[split]
        ids = folder / f"{split}.bin"
        dtype = np.dtype(info.dtype)
        expected = counts.tokens * dtype.itemsize
        found = ids.stat().st_size if ids.exists() else -1
        if found != expected:
            problem = "is missing." if found < 0 else f"has {found} bytes, expected {expected}."
            raise DamagedError(ids, None, problem, REMEDY)
        tokens = np.memmap(ids, dtype=dtype, mode="r") if expected else np.empty(0, dtype=dtype)
        offsets = {}
        for name, count in (("documents", counts.documents), ("segments", counts.segments)):
            path = folder / f"{split}.{name}.npy"
            check_file(path, info.files[path.name], REMEDY)
            offsets[name] = _offsets(path, count, counts.tokens)
        return cls(tokens, offsets["documents"], offsets["segments"], info)

    def __len__(self) -> int:
        return len(self.tokens)

    def document(self, index: int) -> Ids:
        """Ids of a document; a view, nothing is copied."""
        start, end = self.documents[index : index + 2]
        return self.tokens[int(start) : int(end)]

    def segment(self, index: int) -> Ids:
        """Ids of a line; a view."""
        start, end = self.segments[index : index + 2]
        return self.tokens[int(start) : int(end)]


def check_tokens(folder: Path) -> None:
    """Read the ids of all splits once and compare their digests, at the speed of the disk, or some 3 GB/s from memory.

    Raises:
        DamagedError: a file is not what was written.
    """
    for name, digest in StoreInfo.read(folder).files.items():
        if name.endswith(".bin"):
            check_file(folder / name, digest, REMEDY)


def _offsets(path: Path, count: int, tokens: int) -> Offsets:
    try:
        offsets: Offsets = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DamagedError(path, None, f"cannot be read: {error}.", REMEDY) from error
    ends = (int(offsets[0]), int(offsets[-1])) if offsets.shape == (count + 1,) else None
    if offsets.dtype != np.uint64 or ends != (0, tokens):
        raise DamagedError(path, None, f"does not hold {count} offsets into {tokens} tokens.", REMEDY)
    return offsets


class SplitWriter:
    """Write one split, block by block. Lines without tokens are left out, and documents without lines."""

    def __init__(self, folder: Path, split: str) -> None:
        self._folder, self._split = folder, split
        self._file = (folder / f"{split}.bin").open("wb")
        self._documents: list[Offsets] = []
        self._segments: list[Offsets] = []
        self._tokens = 0

    def __enter__(self) -> SplitWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, ids: bytes, lengths: NDArray[np.int64], first_lines: NDArray[np.int64]) -> None:
        """Add ids with the number of tokens of each line and the indices of the lines that start a document."""
        starts = np.zeros(len(lengths) + 1, dtype=np.uint64)
        np.cumsum(lengths, out=starts[1:])
        starts += np.uint64(self._tokens)
        end = starts[-1]
        document_starts = np.unique(starts[first_lines])
        self._segments.append(starts[:-1][lengths > 0])
        self._documents.append(document_starts[document_starts < end])
        self._file.write(ids)
        self._tokens = int(end)

    def finish(self) -> SplitInfo:
        """Write the offsets; what the split holds."""
        self._file.close()
        last = np.asarray([self._tokens], dtype=np.uint64)
        counts = []
        for name, parts in (("documents", self._documents), ("segments", self._segments)):
            offsets = np.concatenate([*parts, last]).astype(np.uint64)
            np.save(self._folder / f"{self._split}.{name}.npy", offsets)
            counts.append(len(offsets) - 1)
        return SplitInfo(self._tokens, *counts)


def write_info(folder: Path, dtype: str, tokenizer: str, splits: dict[str, SplitInfo]) -> None:
    """Write the store.json of a folder whose splits are finished."""
    kinds = ("bin", "documents.npy", "segments.npy")
    files = digests_of(folder, [f"{split}.{kind}" for split in splits for kind in kinds])
    StoreInfo(dtype, tokenizer, splits, files).write(folder)
