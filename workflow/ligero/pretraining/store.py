"""The token store as pretraining reads it: one long array of ids in a memory map, and where documents and lines start."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ligero.common.errors import DataError
from ligero.common.files import read_json


@dataclass(frozen=True)
class TokenStore:
    """One split of a token store.

    Attributes:
        tokens: ids of the whole text without special tokens, [N], uint16 or uint32.
        documents: offsets at which documents start, and N at the end.
        segments: offsets at which lines start, and N at the end.
        identity: what store.json says about the store; part of what a checkpoint belongs to.
    """

    tokens: NDArray[Any]
    documents: NDArray[np.uint64]
    segments: NDArray[np.uint64]
    identity: dict[str, Any]

    def __len__(self) -> int:
        return len(self.tokens)

    @classmethod
    def open(cls, folder: Path, split: str = "train") -> TokenStore:
        """Open `split` of the store in `folder`; an empty split has no tokens.

        Raises:
            DataError: a file is missing, or the ids do not fill what the offsets promise.
        """
        folder = Path(folder)
        identity = read_json(folder / "store.json")
        offsets = {}
        for name in ("documents", "segments"):
            path = folder / f"{split}.{name}.npy"
            if not path.is_file():
                raise DataError(path, None, "no such file.", "Build the token store again.")
            offsets[name] = np.load(path, mmap_mode="r")
        path = folder / f"{split}.bin"
        count = int(offsets["documents"][-1]) if len(offsets["documents"]) else 0
        size = path.stat().st_size if path.is_file() else -1
        if count == 0:
            return cls(np.empty(0, np.uint16), offsets["documents"], offsets["segments"], identity)
        types = {2 * count: np.uint16, 4 * count: np.uint32}
        if size not in types:
            raise DataError(
                path,
                None,
                f"{size} bytes for {count} tokens, expected 2 or 4 a token.",
                "Build the store again.",
            )
        tokens = np.memmap(path, dtype=types[size], mode="r", shape=(count,))
        return cls(tokens, offsets["documents"], offsets["segments"], identity)
