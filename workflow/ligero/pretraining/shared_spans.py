"""Where two tokenizers cut one text at the same place: the spans that both can speak about, whatever their vocabularies.

A *span* reaches from one common boundary to the next, so it holds one or more whole tokens of either side: usually a word, or a
part of one. No notion of a word is needed, and none of a language.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.integer[Any]]
NO_SPAN = -1


def shared_spans(one: Ints, other: Ints) -> tuple[Ints, Ints, int]:
    """Number the shared spans of a text and say in which of them each token lies.

    Args:
        one, other: [N], [M], the character at which each token of the two sides ends, in the order of the text.

    Returns:
        int64 [N] and [M], the span of each token, -1 after the last common boundary; and how many spans there are.
    """
    ends = np.intersect1d(one, other)
    return _place(one, ends), _place(other, ends), len(ends)


def _place(token_ends: Ints, ends: Ints) -> Ints:
    span = np.searchsorted(ends, token_ends, side="left")
    return np.where(span < len(ends), span, NO_SPAN).astype(np.int64)


def windows(spans: Ints, longest: int) -> Ints:
    """Cut a text's tokens into windows of at most `longest`, between spans where that is possible.

    Args:
        spans: [M], the span of each token, ascending (-1 last).

    Returns:
        int64 [windows + 1], where each window begins, then the end.
    """
    changes = np.flatnonzero(np.diff(spans)) + 1
    cuts = [0]
    while len(spans) - cuts[-1] > longest:
        limit = cuts[-1] + longest
        place = int(np.searchsorted(changes, limit, side="right")) - 1
        before = int(changes[place]) if place >= 0 else 0
        # A span longer than a window is cut inside.
        cuts.append(before if before > cuts[-1] else limit)
    return np.asarray([*cuts, len(spans)] if len(spans) else [0], dtype=np.int64)
