"""The token store: a corpus as token ids on disk, mapped into memory, with the places of its documents and lines.

A split is `NAME.bin` (ids, little-endian uint16 or uint32, no special tokens), `NAME.documents.npy` and
`NAME.segments.npy` (uint64: where each document and each line starts, and at last where the ids end). `store.json` says
what belongs together.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ligero.common.errors import DataError
from ligero.common.files import read_json, write_json
from ligero.common.hashing import sha256_file

META_FILE = "store.json"
Ids = NDArray[np.uint16] | NDArray[np.uint32]
Offsets = NDArray[np.uint64]
_REMEDY = "Encode the corpus again (delete the folder and run the workflow)."


@dataclass(frozen=True)
class TokenStore:
    """One split of an encoded corpus, opened for reading.

    Attributes:
        tokens: all ids, memory-mapped, shape [tokens].
        documents: start of each document in `tokens`, then the end; shape [documents + 1].
        segments: start of each line, then the end; shape [segments + 1]. Every document starts at a segment.
        meta: the vocabulary's and the split's description.
    """

    tokens: Ids
    documents: Offsets
    segments: Offsets
    meta: dict[str, Any]

    @classmethod
    def open(cls, folder: Path | str, split: str, *, verify: bool = False) -> TokenStore:
        """Open a split; sizes and offsets are checked always, the digests of all bytes where `verify` asks for it.

        Raises:
            DataError: files are missing, cut short, or do not belong together.
        """
        folder = Path(folder)
        meta = read_json(folder / META_FILE)
        if split not in meta.get("splits", {}):
            raise DataError(folder / META_FILE, None, f"has no split '{split}'.", _REMEDY)
        described = meta["splits"][split]
        ids = folder / f"{split}.bin"
        dtype = np.dtype(meta["dtype"])
        expected = described["tokens"] * dtype.itemsize
        found = ids.stat().st_size if ids.exists() else -1
        if found != expected:
            problem = "is missing." if found < 0 else f"has {found} bytes, expected {expected}."
            raise DataError(ids, None, problem, _REMEDY)
        tokens = np.memmap(ids, dtype=dtype, mode="r") if expected else np.empty(0, dtype=dtype)
        documents = _offsets(folder / f"{split}.documents.npy", described["documents"], described["tokens"])
        segments = _offsets(folder / f"{split}.segments.npy", described["segments"], described["tokens"])
        if verify:
            for name, digest in described["sha256"].items():
                if sha256_file(folder / name) != digest:
                    raise DataError(
                        folder / name, None, "is not what was written (its checksum differs).", _REMEDY
                    )
        return cls(tokens, documents, segments, {**meta, **described})

    def __len__(self) -> int:
        """Number of documents."""
        return len(self.documents) - 1

    def document(self, index: int) -> Ids:
        """Ids of a document; a view, nothing is copied."""
        start, end = self.documents[index : index + 2]
        return self.tokens[int(start) : int(end)]

    def segment(self, index: int) -> Ids:
        """Ids of a line; a view."""
        start, end = self.segments[index : index + 2]
        return self.tokens[int(start) : int(end)]

    def segments_of(self, document: int) -> range:
        """Indices of the lines of a document."""
        start, end = self.documents[document : document + 2]
        first, last = np.searchsorted(self.segments[:-1], np.asarray([start, end], dtype=np.uint64))
        return range(int(first), int(last))


def _offsets(path: Path, count: int, tokens: int) -> Offsets:
    try:
        offsets: Offsets = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(path, None, f"cannot be read: {error}.", _REMEDY) from error
    if (
        offsets.dtype != np.uint64
        or offsets.shape != (count + 1,)
        or offsets[0] != 0
        or offsets[-1] != tokens
    ):
        raise DataError(path, None, f"does not hold {count} offsets into {tokens} tokens.", _REMEDY)
    return offsets


class SplitWriter:
    """Write one split, block by block. Lines without tokens are left out, and documents without lines."""

    def __init__(self, folder: Path, split: str, dtype: str) -> None:
        self._folder, self._split, self._dtype = folder, split, dtype
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

    def finish(self) -> dict[str, Any]:
        """Write the offsets and return the split's description for `store.json`."""
        self._file.close()
        description: dict[str, Any] = {"tokens": self._tokens}
        last = np.asarray([self._tokens], dtype=np.uint64)
        for name, parts in (("documents", self._documents), ("segments", self._segments)):
            offsets = np.concatenate([*parts, last]).astype(np.uint64)
            np.save(self._folder / f"{self._split}.{name}.npy", offsets)
            description[name] = len(offsets) - 1
        names = [f"{self._split}.{kind}" for kind in ("bin", "documents.npy", "segments.npy")]
        description["sha256"] = {name: sha256_file(self._folder / name) for name in names}
        return description


def write_meta(folder: Path, dtype: str, vocabulary: dict[str, Any], splits: dict[str, Any]) -> None:
    """Write `store.json`."""
    write_json(folder / META_FILE, {"format": 1, "dtype": dtype, "vocabulary": vocabulary, "splits": splits})
