"""What pretraining must know of a vocabulary: its special ids, its size, and which subwords continue a word."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ligero.common.errors import DataError, MismatchError
from ligero.common.files import read_json
from ligero.common.hashing import digest_file
from ligero.corpus.token_store import TokenStore
from ligero.tokenizers.fast_tokenizer import FAST_TOKENIZER_FILE, INFO_FILE, TokenizerInfo


@dataclass(frozen=True)
class Vocabulary:
    """Special ids and size of a vocabulary.

    Attributes:
        ordinary: ids that may replace a masked token, all but the special ones.
        tokenizer: digest of the tokenizer's description, by which a token store names it.
        continues: [size] bool, whether a subword continues the word of the one before it; None where not asked for.
    """

    size: int
    cls: int
    sep: int
    pad: int
    mask: int
    ordinary: NDArray[np.int64]
    continues: NDArray[np.bool_] | None = None
    tokenizer: str = ""

    @classmethod
    def load(cls, folder: Path, words: bool = False) -> Vocabulary:
        """Read tokenizer_info.json of a tokenizer folder, and with `words` the subwords of fast_tokenizer.json.

        Raises:
            DataError: a special token is missing, or a file is missing or damaged.
        """
        info = TokenizerInfo.read(folder)
        special = info.special
        for name in ("cls", "sep", "pad", "mask"):
            if name not in special:
                problem = f"special token '{name}' is missing; pretraining needs it."
                raise DataError(folder / INFO_FILE, None, problem)
        if words:
            info.check(folder, FAST_TOKENIZER_FILE)
        size = info.vocabulary_size
        ordinary = np.setdiff1d(np.arange(size), list(special.values()))
        return cls(
            size=size,
            cls=special["cls"],
            sep=special["sep"],
            pad=special["pad"],
            mask=special["mask"],
            ordinary=ordinary,
            continues=_continuations(folder / FAST_TOKENIZER_FILE, size) if words else None,
            tokenizer=digest_file(folder / INFO_FILE),
        )

    def check_made(self, store: TokenStore, tokens: Path) -> None:
        """Refuse a token store in the folder `tokens` whose ids another tokenizer made.

        Raises:
            MismatchError: it did.
        """
        if store.info.tokenizer != self.tokenizer:
            raise MismatchError(
                f"{tokens}: its ids were made by another tokenizer than the one given. Give the tokenizer that made them, or "
                "encode the corpus again: delete the folder and start snakemake again."
            )


def _continuations(path: Path, size: int) -> NDArray[np.bool_]:
    """Which subwords continue a word: '##' marks it in WordPiece; in the others a missing word mark does, but not before a
    punctuation mark, which is a word of its own (as in Google's ALBERT)."""
    model = read_json(path)["model"]
    vocabulary = model["vocab"]
    subwords = (
        dict(enumerate(subword for subword, _ in vocabulary))
        if isinstance(vocabulary, list)
        else {index: subword for subword, index in vocabulary.items()}
    )
    test = {"WordPiece": _continues_wordpiece, "BPE": _continues_bytes}.get(
        model.get("type"), _continues_text
    )
    continues = np.zeros(size, dtype=bool)
    for index, subword in subwords.items():
        if index < size:
            continues[index] = test(subword)
    return continues


def _continues_wordpiece(subword: str) -> bool:
    return subword.startswith("##")


def _continues_text(subword: str) -> bool:
    """A SentencePiece piece without the word mark that does not begin with punctuation."""
    return not subword.startswith("▁") and subword[:1].isalnum()


def _continues_bytes(subword: str) -> bool:
    """The same of byte-level BPE; a subword that begins inside a character continues it."""
    from tokenizers.decoders import ByteLevel

    first = ByteLevel().decode([subword])[:1]
    return first.isalnum() or first == "\N{REPLACEMENT CHARACTER}"
