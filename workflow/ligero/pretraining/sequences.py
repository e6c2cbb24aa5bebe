"""Sequences packed from the token store: every row is full, none is padded.

The text is read as one stream cut into windows that fill a row exactly. A window is a pure function of its number and
its *copy*: each copy shifts the cuts, so that later epochs see other windows.

Sentence order (Lan et al. 2020, section 3.1): a line's start splits a window into two consecutive segments, swapped half the
time. How segments begin and end must not tell their order, or punctuation alone gives the answer away. So a window is
widened to whole lines first, and what is too much is cut after the swap from the outer ends of the row: the first segment
always ends where a line ends, and the second begins where a line begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ligero.common.counter_rng import splitmix64, uniform
from ligero.common.errors import DataError
from ligero.corpus.token_store import TokenStore
from ligero.pretraining.vocabulary import Vocabulary

Ints = NDArray[np.int64]
_SHIFT, _SPLIT, _SWAP, _MIDDLE = 1, 2, 3, 4


@dataclass(frozen=True)
class Sequences:
    """B packed rows of S tokens.

    Attributes:
        input_ids: [B, S], [CLS] A [SEP] B [SEP] or [CLS] text [SEP].
        token_type_ids: [B, S], 1 on B and its [SEP].
        special: [B, S] bool, on [CLS] and [SEP].
        swapped: [B], 1 where B precedes A in the text; zeros without sentence order.
    """

    input_ids: Ints
    token_type_ids: Ints
    special: NDArray[np.bool_]
    swapped: Ints


class Windows:
    """The windows of a store.

    Args:
        content: tokens of text a full row holds: its length without the special tokens.

    Raises:
        DataError: the store has no full window.
    """

    def __init__(self, store: TokenStore, content: int, seed: int) -> None:
        self.store, self.content, self.seed = store, content, seed
        self.count = (len(store) - 1) // content - 1
        """Windows in one epoch: one less than fit, so that every copy can shift the cuts by up to a window."""
        if self.count < 1:
            if len(store) < content:
                raise DataError(
                    "token store",
                    None,
                    f"{len(store)} tokens do not fill one sequence of {content}.",
                    "Use more text or a shorter sequence_length.",
                )
            self.count = 1

    def starts(self, windows: Ints, copies: Ints) -> Ints:
        """Offsets of the first token of each window, [B]."""
        room = np.uint64(min(self.content, len(self.store) - self.count * self.content + 1))
        shift = (splitmix64(self.seed, _SHIFT, copies) % room).astype(np.int64)
        return windows * self.content + shift


def plain_sequences(store: TokenStore, vocabulary: Vocabulary, starts: Ints, length: int) -> Sequences:
    """Rows [CLS] text [SEP] of `length` tokens whose text begins at `starts`."""
    rows = len(starts)
    ids = np.empty((rows, length), dtype=np.int64)
    ids[:, 0], ids[:, -1] = vocabulary.cls, vocabulary.sep
    ids[:, 1:-1] = store.tokens[starts[:, None] + np.arange(length - 2)]
    special = np.zeros((rows, length), dtype=bool)
    special[:, [0, -1]] = True
    return Sequences(ids, np.zeros_like(ids), special, np.zeros(rows, dtype=np.int64))


def paired_sequences(
    store: TokenStore, vocabulary: Vocabulary, starts: Ints, length: int, seed: int, keys: Any
) -> Sequences:
    """Rows [CLS] A [SEP] B [SEP] of `length` tokens; `keys` [B] name the rows in random draws."""
    content = length - 3
    begin, split, end = whole_lines(store, starts, content, seed, keys)
    swapped = (uniform(seed, _SWAP, keys) < 0.5).astype(np.int64)
    in_order = swapped == 0
    first_end, second_begin = np.where(in_order, split, end), np.where(in_order, split, begin)
    first_length = np.where(in_order, split - begin, end - split)
    # Both segments lose the same share of what is too much.
    kept = np.clip(first_length * content // (end - begin), 1, content - 1)[:, None]
    column = np.arange(length)
    in_first = column <= kept
    place = np.where(
        in_first, first_end[:, None] - kept + column - 1, second_begin[:, None] + column - kept - 2
    )
    middle = column == kept + 1
    special = middle | (column == 0) | (column == length - 1)
    ids = store.tokens[np.where(special, starts[:, None], place)].astype(np.int64)
    ids[special] = vocabulary.sep
    ids[:, 0] = vocabulary.cls
    return Sequences(ids, (column > kept + 1).astype(np.int64), special, swapped)


def whole_lines(
    store: TokenStore, starts: Ints, content: int, seed: int, keys: Any
) -> tuple[Ints, Ints, Ints]:
    """Begin, split and end of the whole lines that a window touches, each [B].

    The split is the start of a line between them, drawn uniformly, but not of a document (two documents have no order). Where
    there is none the window stays as it is and is split in its middle half.
    """
    lines = store.segments
    low = np.searchsorted(lines, starts.astype(np.uint64), side="right") - 1
    high = np.searchsorted(lines, (starts + content).astype(np.uint64), side="left")
    choices = high - low - 1
    drawn = (uniform(seed, _SPLIT, keys) * choices).astype(np.int64)
    split = np.zeros_like(starts)
    for turn in range(3):  # where a document starts, the next lines get their turn
        pick = low + 1 + (drawn + turn) % np.maximum(choices, 1)
        line = lines[np.minimum(pick, len(lines) - 1)]
        document = store.documents[np.searchsorted(store.documents, line, side="left")]
        usable = (split == 0) & (choices > 0) & (document != line)
        split = np.where(usable, line.astype(np.int64), split)
    quarter = content // 4
    middle = quarter + (uniform(seed, _MIDDLE, keys) * (content - 2 * quarter)).astype(np.int64)
    found = split > 0
    begin = np.where(found, lines[low].astype(np.int64), starts)
    end = np.where(found, lines[high].astype(np.int64), starts + content)
    return begin, np.where(found, split, starts + np.clip(middle, 1, content - 1)), end
