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

from ligero.tokenizers.fast_tokenizer import FastTokenizer
from ligero.tokenizers.plain_words import PlainWord, PlainWords

MOST_WORDS = 2_000_000
"""Entries kept at most, about 300 MB; a full cache is emptied, which costs time and changes nothing."""

_WHOLE_LINE = b""
"""Marks words whose line must be encoded whole (and words without ids, which are rare)."""


class WordCache(dict[str, bytes]):
    """For each word the bytes of its ids; missing words are encoded when they are looked up.

    A new word passes through the tokenizer's steps (normaliser, pre-tokenizer, model) one by one, plain words through
    the model alone, which costs a quarter of encoding it as a text; parts that are cut off it ("," of "casa,") are kept.
    """

    def __init__(self, encoder: FastTokenizer, dtype: str, prefix: str) -> None:
        super().__init__()
        self._encoder = encoder
        self._code = {"<u2": "H", "<u4": "I"}[dtype]
        self._prefix = prefix
        backend = encoder.backend
        self._normalize = backend.normalizer.normalize_str if backend.normalizer else None
        self._model = backend.model.tokenize
        # Tokens that were added to a tokenizer are looked for before its steps; special ones are not (see FastTokenizer), and
        # no plain word looks like one that starts with a bracket.
        added = backend.get_added_tokens_decoder().values()
        stepwise = backend.pre_tokenizer and all(t.special and t.content[0] in "<[" for t in added)
        self._plain = PlainWords(backend, prefix) if stepwise else None
        self._parts: dict[str, bytes] = {}
        self._punctuation: dict[str, bytes] = {}
        self.misses = 0

    def __missing__(self, word: str) -> bytes:
        if len(self) >= MOST_WORDS:
            self.clear()
            self._parts.clear()
            self._punctuation.clear()
        plain = self._plain.parts(word) if self._plain else None
        self[word] = ids = self._encode_plain(plain) if plain else self._encode(word)
        self.misses += 1
        return ids

    def _encode_plain(self, word: PlainWord) -> bytes:
        before, letters, after = word
        ids = self._part(letters)
        if before:
            ids = self._punctuation_mark(self._prefix + before) + ids
        return ids + self._punctuation_mark(after) if after else ids

    def _part(self, part: str) -> bytes:
        known = self._parts.get(part)
        if known is None:
            self._parts[part] = known = self._packed([token.id for token in self._model(part)])
        return known

    def _punctuation_mark(self, text: str) -> bytes:
        known = self._punctuation.get(text)
        if known is None:
            self._punctuation[text] = known = self._packed(self._encoder.encode(text))
        return known

    def _encode(self, word: str) -> bytes:
        """Ids of a word, or _WHOLE_LINE where they may depend on the words beside it."""
        if not _is_one_word(word):
            return _WHOLE_LINE
        if not word.isascii() and self._normalize:
            normal = self._normalize(word)
            # Normalisation may make spaces of a letter, or leave a mark that joins the text before the space.
            if not _is_one_word(normal) or _joins(word) or _joins(normal):
                return _WHOLE_LINE
        return self._packed(self._encoder.encode(self._prefix + word))

    def _packed(self, ids: list[int]) -> bytes:
        packed = array(self._code, ids)
        if sys.byteorder == "big":
            packed.byteswap()
        return packed.tobytes()


def _is_one_word(text: str) -> bool:
    return text.split() == [text]


def _joins(word: str) -> bool:
    return unicodedata.combining(word[0]) != 0 or unicodedata.category(word[0]) in ("Mn", "Mc", "Me", "Cf")


class LineEncoder:
    """Encode lines of text to arrays of ids, equal to `FastTokenizer.encode` of each line."""

    def __init__(self, encoder: FastTokenizer) -> None:
        self.encoder = encoder
        self.dtype = id_dtype(encoder.vocabulary_size)
        self._item = np.dtype(self.dtype).itemsize
        first, rest = "", ""
        if encoder.encode("a") != encoder.encode(" a"):
            # Byte-level vocabularies tell a word after a space from one at the start.
            rest = " "
        self._rest = WordCache(encoder, self.dtype, rest)
        self._first = self._rest if first == rest else WordCache(encoder, self.dtype, first)

    def encode(self, lines: Sequence[str]) -> tuple[bytes, NDArray[np.int64]]:
        """Ids of all lines one after another as bytes, and how many each line has."""
        encoded: list[bytes] = []
        lookup, first = self._rest.__getitem__, self._first.__getitem__
        same = self._first is self._rest
        for line in lines:
            words_of_line = line.split(" ")
            if same:
                found = list(map(lookup, words_of_line))
            else:
                found = [first(words_of_line[0]), *map(lookup, words_of_line[1:])]
            if _WHOLE_LINE in found:
                encoded.append(np.asarray(self.encoder.encode(line), dtype=self.dtype).tobytes())
            else:
                encoded.append(b"".join(found))
        counts = np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded)) // self._item
        return b"".join(encoded), counts


def id_dtype(vocabulary_size: int) -> str:
    """Type of stored token ids: uint16 where every id fits."""
    return "<u2" if vocabulary_size < 65_536 else "<u4"
