"""New pairs of texts out of a task's own: a teacher can label what nobody annotated. Needs scikit-learn.

Each first text is paired with second texts that were annotated with other first texts, the most similar first: random pairs have so
little in common that almost all get the same label. Thakur et al., "Augmented SBERT" (NAACL 2021), section 3.1 (there with BM25, here with
the cosine of TF-IDF vectors).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence

import numpy as np

from ligero.tasks.texts import plain_key

POOL = 10_000
"""Second texts that a first text is compared with at most, so that the work grows with the number of pairs only."""
_ROWS = 1_000
_SPARE = 4
"""Second texts looked at for each first text beyond those that are needed, for pairs that other splits have."""

Pair = tuple[str, str]


def recombined_pairs(pairs: Sequence[Pair], known: Container[Pair], wanted: int, seed: int) -> list[Pair]:
    """At most `wanted` distinct new pairs: every first text with its most similar second text, then each with its next, and so on.

    Args:
        pairs: the training pairs.
        known: pairs that must not be made, as `pair_key` gives them.
        seed: draws the first texts where not all are needed, and the pool.
    """
    generator = np.random.default_rng(seed)
    first = list(dict.fromkeys(text for text, _ in pairs))
    second = _drawn(list(dict.fromkeys(text for _, text in pairs)), POOL, generator)
    first = _drawn(first, wanted, generator)
    # What a first text was annotated with is likest to it, so that much more is looked at than is wanted.
    depth = -(-wanted // len(first)) + max(Counter(text for text, _ in pairs).values()) + _SPARE
    ranked = _most_similar(first, second, min(depth, len(second)))
    found: dict[Pair, Pair] = {}
    for rank in range(ranked.shape[1]):
        for text, number in zip(first, ranked[:, rank].tolist(), strict=True):
            pair = (text, second[number])
            key = pair_key(pair)
            if key not in known and key[0] != key[1]:
                found.setdefault(key, pair)
            if len(found) == wanted:
                return list(found.values())
    return list(found.values())


def pair_key(pair: Pair) -> Pair:
    """What two pairs share that say the same words."""
    return plain_key(pair[0]), plain_key(pair[1])


def _drawn(texts: list[str], number: int, generator: np.random.Generator) -> list[str]:
    if len(texts) <= number:
        return texts
    return [texts[place] for place in np.sort(generator.choice(len(texts), number, replace=False)).tolist()]


def _most_similar(first: Sequence[str], second: Sequence[str], depth: int) -> np.ndarray:
    """[len(first), depth] indices of the second texts most similar to each first text; ties keep their order."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer(dtype=np.float32, token_pattern=r"\w+", sublinear_tf=True)
    columns = vectors.fit_transform([*first, *second])[len(first) :].T
    rows = vectors.transform(first)
    ranked = [
        np.argsort(-(rows[start : start + _ROWS] @ columns).toarray(), axis=1, kind="stable")[:, :depth]
        for start in range(0, len(first), _ROWS)
    ]
    return np.concatenate(ranked)
