"""What pretraining must know of a vocabulary: its special ids, its size, and which pieces continue a word."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ligero.common.errors import DataError
from ligero.common.files import read_json


@dataclass(frozen=True)
class Vocabulary:
    """Special ids and size of a vocabulary.

    Attributes:
        ordinary: ids that may replace a masked token, all but the special ones.
        continues: [size] bool, whether a piece continues the word of the piece before it; None where not asked for.
    """

    size: int
    cls: int
    sep: int
    pad: int
    mask: int
    ordinary: NDArray[np.int64]
    continues: NDArray[np.bool_] | None = None

    @classmethod
    def load(cls, folder: Path, words: bool = False) -> Vocabulary:
        """Read tokenizer_info.json of a tokenizer folder, and with `words` the pieces of fast_tokenizer.json.

        Raises:
            DataError: a special token is missing.
        """
        path = Path(folder) / "tokenizer_info.json"
        info = read_json(path)
        special: dict[str, Any] = info.get("special", {})
        for name in ("cls", "sep", "pad", "mask"):
            if special.get(name) is None:
                raise DataError(path, None, f"special token '{name}' is missing; pretraining needs it.")
        size = int(info["vocabulary_size"])
        ordinary = np.setdiff1d(np.arange(size), [value for value in special.values() if value is not None])
        return cls(
            size=size,
            cls=int(special["cls"]),
            sep=int(special["sep"]),
            pad=int(special["pad"]),
            mask=int(special["mask"]),
            ordinary=ordinary,
            continues=_continuations(Path(folder) / "fast_tokenizer.json", size) if words else None,
        )


def _continuations(path: Path, size: int) -> NDArray[np.bool_]:
    """Which pieces continue a word: '##' marks it in WordPiece; in the others a missing word mark does, but not before a
    punctuation mark, which stands for itself (as in Google's ALBERT)."""
    model = read_json(path)["model"]
    vocabulary = model["vocab"]
    pieces = (
        dict(enumerate(piece for piece, _ in vocabulary))
        if isinstance(vocabulary, list)
        else {index: piece for piece, index in vocabulary.items()}
    )
    test = {"WordPiece": _continues_wordpiece, "BPE": _continues_bytes}.get(
        model.get("type"), _continues_text
    )
    continues = np.zeros(size, dtype=bool)
    for index, piece in pieces.items():
        if index < size:
            continues[index] = test(piece)
    return continues


def _continues_wordpiece(piece: str) -> bool:
    return piece.startswith("##")


def _continues_text(piece: str) -> bool:
    """A SentencePiece piece without the word mark that does not begin with punctuation."""
    return not piece.startswith("▁") and piece[:1].isalnum()


def _continues_bytes(piece: str) -> bool:
    """The same of byte-level BPE; a piece that begins inside a character continues it."""
    from tokenizers.decoders import ByteLevel

    first = ByteLevel().decode([piece])[:1]
    return first.isalnum() or first == "\N{REPLACEMENT CHARACTER}"
