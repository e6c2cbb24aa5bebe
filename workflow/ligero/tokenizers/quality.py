"""How well a vocabulary fits a text: fertility, unknown tokens, words in one piece."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from ligero.tokenizers.fast_tokenizer import FastTokenizer

_WORDS_AT_ONCE = 4096


@dataclass
class WordCounts:
    """The words (white-space separated) of a text and how often each occurs; counted once for all vocabularies."""

    words: Counter[str] = field(default_factory=Counter)
    sentences: int = 0
    """Texts that hold words: sentences, titles, paragraphs, whatever stands on a line."""

    @classmethod
    def of(cls, texts: Iterable[str]) -> WordCounts:
        counts = cls()
        for text in texts:
            words = text.split()
            counts.words.update(words)
            counts.sentences += bool(words)
        return counts


def vocabulary_quality(encoder: FastTokenizer, texts: Iterable[str] | WordCounts) -> dict[str, Any]:
    """Count over the words of a text, each encoded as in running text.

    Returns:
        sentences: number of texts with words; words; different_words.
        tokens: number of tokens.
        fertility: tokens a word; tokens_per_sentence.
        unknown_share: share of the tokens that are unknown; words_with_unknown: share of the words that have one.
        single_piece_words: share of the words that are one token; single_piece_types: the same over different words.
        used_vocabulary: share of the vocabulary's entries that occur.
    """
    counts = texts if isinstance(texts, WordCounts) else WordCounts.of(texts)
    words = tokens = unknown = words_with_unknown = single = single_types = 0
    used: set[int] = set()
    remaining = iter(counts.words.items())
    while some := list(islice(remaining, _WORDS_AT_ONCE)):
        ids, word_of_id = encoder.encode_words([word for word, _ in some])
        times = np.asarray([count for _, count in some], dtype=np.int64)
        places = np.asarray(word_of_id, dtype=np.int64)
        pieces = np.bincount(places, minlength=len(some))
        unknowns = np.bincount(places[np.asarray(ids, dtype=np.int64) == encoder.unk], minlength=len(some))
        whole = (pieces == 1) & (unknowns == 0)
        words += int(times.sum())
        tokens += int(times @ pieces)
        unknown += int(times @ unknowns)
        words_with_unknown += int(times @ (unknowns > 0))
        single += int(times @ whole)
        single_types += int(whole.sum())
        used.update(ids)
    return {
        "sentences": counts.sentences,
        "words": words,
        "different_words": len(counts.words),
        "tokens": tokens,
        "fertility": tokens / max(words, 1),
        "tokens_per_sentence": tokens / max(counts.sentences, 1),
        "unknown_share": unknown / max(tokens, 1),
        "words_with_unknown": words_with_unknown / max(words, 1),
        "single_piece_words": single / max(words, 1),
        "single_piece_types": single_types / max(len(counts.words), 1),
        "used_vocabulary": len(used - {encoder.unk}) / encoder.vocabulary_size,
    }
