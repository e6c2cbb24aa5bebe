"""Encode running text word by word from a cache: the same ids as encoding whole lines, several times as fast.

All vocabularies here cut text at white space before anything else, so the ids of a line are those of its words one after
another. That holds only where the normaliser does nothing across words and white space is single spaces; words for which
it may not hold are found when they are first met, and lines with such a word are encoded whole.
"""

from __future__ import annotations

import sys
import unicodedata
from array import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ligero.tokenizers.encoder import Encoder

MOST_WORDS = 2_000_000
"""Entries kept at most, about 300 MB; a full cache is emptied, which costs time and changes nothing."""

COLD_SHARE = 0.002
"""While a block brings more new words than this a character, new words are encoded together before the lines."""

_WHOLE_LINE = b""
"""Stands in the cache for words whose line must be encoded whole (and for words without ids, which are rare)."""


class WordCache(dict[str, bytes]):
    """For each word the bytes of its ids; missing words are encoded when they are looked up."""

    def __init__(self, encoder: Encoder, dtype: str, prefix: str) -> None:
        super().__init__()
        self._encoder = encoder
        self._code = {"<u2": "H", "<u4": "I"}[dtype]
        self._prefix = prefix
        self._normalizer = encoder.backend.normalizer
        self.misses = 0

    def __missing__(self, word: str) -> bytes:
        ids = (
            self._packed(self._encoder.encode(self._prefix + word))
            if self._independent(word)
            else _WHOLE_LINE
        )
        if len(self) >= MOST_WORDS:
            self.clear()
        self[word] = ids
        self.misses += 1
        return ids

    def prefetch(self, words: set[str]) -> None:
        """Encode all words that are missing at once, which costs half as much a word."""
        missing = [word for word in words - self.keys() if self._independent(word)]
        if len(self) + len(missing) >= MOST_WORDS:
            return
        texts = [self._prefix + word for word in missing]
        for word, ids in zip(missing, self._encoder.encode_each(texts), strict=True):
            self[word] = self._packed(ids)
        self.misses += len(missing)

    def _packed(self, ids: list[int]) -> bytes:
        packed = array(self._code, ids)
        if sys.byteorder == "big":
            packed.byteswap()
        return packed.tobytes()

    def _independent(self, word: str) -> bool:
        """Whether the word's ids are the same whatever stands beside it, a space apart."""
        if not _is_one_word(word):
            return False
        if word.isascii() or self._normalizer is None:
            return True
        normal = self._normalizer.normalize_str(word)
        # Normalisation may make spaces of a letter, or leave a mark that joins what stands before the space.
        return _is_one_word(normal) and not _joins(word) and not _joins(normal)


def _is_one_word(text: str) -> bool:
    return text.split() == [text]


def _joins(word: str) -> bool:
    return unicodedata.combining(word[0]) != 0 or unicodedata.category(word[0]) in ("Mn", "Mc", "Me", "Cf")


class LineEncoder:
    """Encode lines of text to arrays of ids, equal to `Encoder.encode` of each line."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.dtype = id_dtype(encoder.vocabulary_size)
        self._item = np.dtype(self.dtype).itemsize
        first, rest = "", ""
        if encoder.encode("a") != encoder.encode(" a"):
            # Byte-level vocabularies tell a word after a space from one at the start.
            rest = " "
        self._rest = WordCache(encoder, self.dtype, rest)
        self._cold = True
        self._first = self._rest if first == rest else WordCache(encoder, self.dtype, first)

    def encode(self, lines: Sequence[str]) -> tuple[bytes, NDArray[np.int64]]:
        """Ids of all lines one after another as bytes, and how many each line has."""
        if self._cold:
            before = self._rest.misses
            words = {word for line in lines for word in line.split(" ")}
            self._rest.prefetch(words)
            self._cold = self._rest.misses - before > COLD_SHARE * sum(map(len, lines))
        pieces: list[bytes] = []
        lookup, first = self._rest.__getitem__, self._first.__getitem__
        same = self._first is self._rest
        for line in lines:
            words_of_line = line.split(" ")
            if same:
                found = list(map(lookup, words_of_line))
            else:
                found = [first(words_of_line[0]), *map(lookup, words_of_line[1:])]
            if _WHOLE_LINE in found:
                pieces.append(np.asarray(self.encoder.encode(line), dtype=self.dtype).tobytes())
            else:
                pieces.append(b"".join(found))
        counts = np.fromiter(map(len, pieces), dtype=np.int64, count=len(pieces)) // self._item
        return b"".join(pieces), counts


def id_dtype(vocabulary_size: int) -> str:
    """Type of stored token ids: uint16 where every id fits."""
    return "<u2" if vocabulary_size < 65_536 else "<u4"
