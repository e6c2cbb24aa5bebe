"""How well a vocabulary fits a text: fertility, unknown tokens, words in one piece."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from ligero.tokenizers.encoder import Encoder


def vocabulary_quality(encoder: Encoder, lines: Iterable[str]) -> dict[str, Any]:
    """Count over the words (white-space separated) of a text, each encoded as in running text.

    Returns:
        words: number of words; different_words.
        tokens: number of tokens.
        fertility: tokens a word.
        unknown_share: share of the tokens that are unknown; words_with_unknown: share of the words that have one.
        single_piece_words: share of the words that are one token; single_piece_types: the same over different words.
        used_vocabulary: share of the vocabulary's entries that occur.
    """
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(line.split())
    words = tokens = unknown = words_with_unknown = single = single_types = 0
    used: set[int] = set()
    for word, count in counts.items():
        ids, _ = encoder.encode_words([word])
        unknowns = ids.count(encoder.unk)
        words += count
        tokens += count * len(ids)
        unknown += count * unknowns
        words_with_unknown += count * (unknowns > 0)
        whole = len(ids) == 1 and not unknowns
        single += count * whole
        single_types += whole
        used.update(ids)
    return {
        "words": words,
        "different_words": len(counts),
        "tokens": tokens,
        "fertility": tokens / max(words, 1),
        "unknown_share": unknown / max(tokens, 1),
        "words_with_unknown": words_with_unknown / max(words, 1),
        "single_piece_words": single / max(words, 1),
        "single_piece_types": single_types / max(len(counts), 1),
        "used_vocabulary": len(used - {encoder.unk}) / encoder.vocabulary_size,
    }
