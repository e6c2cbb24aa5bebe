"""N-gram masking (Lan et al. 2020, section 4.1; Joshi et al. 2020): which tokens are predicted, and what replaces them.

A row is tiled with n-grams whose lengths are drawn with probability proportional to 1/n; n-grams are then taken in
random order until the row's number of predictions is reached, the last one cut to fit. With whole words the n-grams are
of words, and one that does not fit any more is passed over for the next that does. 80 % of the chosen tokens become [MASK], 10 % a random token, 10 % stay.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ligero.common.counter_rng import uniform
from ligero.pretraining.vocabulary import Vocabulary

Ints = NDArray[np.int64]
_LENGTH, _ORDER, _FATE, _REPLACEMENT = 11, 12, 13, 14


def predictions_per_row(length: int, masked_share: float) -> int:
    """Tokens predicted in a row of `length`, specials counted: 77 of 512 and 19 of 128 at 15 % (BERT's rounding)."""
    return max(1, round(length * masked_share))


def chosen_positions(
    ids: Ints,
    special: NDArray[np.bool_],
    predictions: int,
    max_ngram: int,
    seed: int,
    keys: Any,
    continues: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Which tokens are predicted, [B, S] bool; exactly `predictions` a row (at most, with whole words).

    Args:
        ids, special: [B, S]; special tokens are never chosen and end every n-gram.
        keys: [B], names of the rows in random draws.
        continues: [vocabulary] bool for whole words, None for single tokens.
    """
    rows, length = ids.shape
    column = np.arange(length)
    keys = np.asarray(keys)[:, None]
    # Units that are masked together: tokens, or words. A special token is one of its own, so no word runs across it.
    after_special = np.concatenate([np.ones((rows, 1), dtype=bool), special[:, :-1]], axis=1)
    begins = (
        np.ones((rows, length), dtype=bool)
        if continues is None
        else ~continues[ids] | special | after_special
    )
    number = np.cumsum(begins, axis=1) - 1
    # N-grams of them: tile with drawn lengths; a special token also ends one.
    shares = np.cumsum(1.0 / np.arange(1, max_ngram + 1))
    lengths = 1 + np.searchsorted(
        shares[:-1] / shares[-1], uniform(seed, _LENGTH, keys, column), side="right"
    )
    ends = np.minimum(np.cumsum(lengths, axis=1), length)
    tile_begins = np.zeros((rows, length + 1), dtype=bool)
    np.put_along_axis(tile_begins, ends, True, axis=1)
    tile_begins[:, 0] = True
    unit_begins = begins & (np.take_along_axis(tile_begins, number, axis=1) | special | after_special)
    unit = np.cumsum(unit_begins, axis=1) - 1
    # Units in random order, special ones last; a stable sort keeps the tokens of a unit together and in order.
    priority = np.take_along_axis(uniform(seed, _ORDER, keys, column), unit, axis=1)
    priority[special] = 2.0
    if continues is not None:
        return _whole_units(unit, priority, special, predictions)
    order = np.argsort(priority, axis=1, kind="stable")
    taken = min(predictions, int((~special).sum(axis=1).min()))
    chosen = np.zeros((rows, length), dtype=bool)
    np.put_along_axis(chosen, order[:, :taken], True, axis=1)
    return chosen


def _whole_units(
    unit: Ints, priority: NDArray[np.floating[Any]], special: NDArray[np.bool_], predictions: int
) -> NDArray[np.bool_]:
    """Units in the order of their priority, each taken where it still fits, [B, S] bool."""
    rows, length = unit.shape
    flat = unit + np.arange(rows)[:, None] * length
    sizes = np.bincount(flat.reshape(-1), minlength=rows * length).reshape(rows, length)
    of_unit = np.full((rows, length), 2.0)
    np.put_along_axis(of_unit, unit, priority, axis=1)
    order = np.argsort(of_unit, axis=1, kind="stable")
    taken = np.zeros((rows, length), dtype=bool)
    room = np.full(rows, predictions)
    for place in order.T:
        size = sizes[np.arange(rows), place]
        fits = (size <= room) & (of_unit[np.arange(rows), place] < 2.0)
        taken[np.arange(rows), place] = fits
        room = room - size * fits
        if not room.any():
            break
    return np.take_along_axis(taken, unit, axis=1) & ~special


def masked_ids(ids: Ints, chosen: NDArray[np.bool_], vocabulary: Vocabulary, seed: int, keys: Any) -> Ints:
    """The ids with the chosen ones replaced: 80 % [MASK], 10 % a random ordinary token, 10 % unchanged."""
    row, column = np.nonzero(chosen)
    key = np.asarray(keys)[row]
    fate = uniform(seed, _FATE, key, column)
    draw = (uniform(seed, _REPLACEMENT, key, column) * len(vocabulary.ordinary)).astype(np.int64)
    original = ids[row, column]
    result = ids.copy()
    result[row, column] = np.where(
        fate < 0.8, vocabulary.mask, np.where(fate < 0.9, vocabulary.ordinary[draw], original)
    )
    return result
