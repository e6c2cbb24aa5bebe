"""How well a tokenizer fits a text: fertility, unknown tokens, words that are one token."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from ligero.common.records import DamagedError, read_record, write_record
from ligero.tokenizers.fast_tokenizer import FastTokenizer

_WORDS_AT_ONCE = 4096


@dataclass
class WordCounts:
    """The words (white-space separated) of a text and how often each occurs; counted once for all tokenizers."""

    words: Counter[str] = field(default_factory=Counter)
    sentences: int = 0
    """Texts that hold words: sentences, titles, paragraphs, whatever is on a line."""

    @classmethod
    def of(cls, texts: Iterable[str]) -> WordCounts:
        counts = cls()
        for text in texts:
            words = text.split()
            counts.words.update(words)
            counts.sentences += bool(words)
        return counts


@dataclass(frozen=True)
class TokenizerQuality:
    """How a tokenizer encodes the words of a text, each as in running text."""

    sentences: int
    """Texts with words."""
    words: int
    different_words: int
    tokens: int
    fertility: float
    """Tokens per word."""
    tokens_per_sentence: float
    unknown_share: float
    """Share of the tokens that are unknown."""
    words_with_unknown: float
    """Share of the words that have an unknown token."""
    single_token_words: float
    """Share of the words that are one token."""
    single_token_types: float
    """The same over different words."""
    used_vocabulary: float
    """Share of the vocabulary's entries that occur."""


@dataclass(frozen=True)
class QualityRow(TokenizerQuality):
    """How one of a study's tokenizers encodes one of its texts."""

    tokenizer: str
    kind: str
    size: int
    task: str | None
    """Whose test split the text is; None for the held-out corpus."""


@dataclass(frozen=True)
class QualityRecord:
    """How every tokenizer of a study encodes every text: `R/benchmarks/tokenizers.json`."""

    most_lines: int
    """Of the held-out corpus, where it has more."""
    rows: list[QualityRow]

    def write(self, path: Path) -> None:
        write_record(path, asdict(self))

    @classmethod
    def read(cls, path: Path) -> QualityRecord:
        """Read what `write` wrote.

        Raises:
            DataError: it is missing.
            DamagedError: it is not what was written.
        """
        values = read_record(path)
        try:
            return cls(values["most_lines"], [QualityRow(**row) for row in values["rows"]])
        except (KeyError, TypeError) as error:
            raise DamagedError(path, None, f"does not describe tokenizers: {error}.") from error


def tokenizer_quality(tokenizer: FastTokenizer, texts: Iterable[str] | WordCounts) -> TokenizerQuality:
    """Encode the words of a text, each once, and count."""
    counts = texts if isinstance(texts, WordCounts) else WordCounts.of(texts)
    words = tokens = unknown = words_with_unknown = single = single_types = 0
    used: set[int] = set()
    remaining = iter(counts.words.items())
    while some := list(islice(remaining, _WORDS_AT_ONCE)):
        ids, word_of_id = tokenizer.encode_words([word for word, _ in some])
        times = np.asarray([count for _, count in some], dtype=np.int64)
        places = np.asarray(word_of_id, dtype=np.int64)
        lengths = np.bincount(places, minlength=len(some))
        unknowns = np.bincount(places[np.asarray(ids, dtype=np.int64) == tokenizer.unk], minlength=len(some))
        whole = (lengths == 1) & (unknowns == 0)
        words += int(times.sum())
        tokens += int(times @ lengths)
        unknown += int(times @ unknowns)
        words_with_unknown += int(times @ (unknowns > 0))
        single += int(times @ whole)
        single_types += int(whole.sum())
        used.update(ids)
    return TokenizerQuality(
        sentences=counts.sentences,
        words=words,
        different_words=len(counts.words),
        tokens=tokens,
        fertility=tokens / max(words, 1),
        tokens_per_sentence=tokens / max(counts.sentences, 1),
        unknown_share=unknown / max(tokens, 1),
        words_with_unknown=words_with_unknown / max(words, 1),
        single_token_words=single / max(words, 1),
        single_token_types=single_types / max(len(counts.words), 1),
        used_vocabulary=len(used - {tokenizer.unk}) / tokenizer.vocabulary_size,
    )
