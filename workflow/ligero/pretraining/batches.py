"""Batches of pretraining: a pure function of (seed, step), so that restarts and the number of devices change nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ligero.common.counter_rng import seed_of, uniform
from ligero.common.prefetch import ReadAhead
from ligero.corpus.token_store import TokenStore
from ligero.pretraining.masking import chosen_positions, masked_ids, predictions_per_row
from ligero.pretraining.sequences import Windows, paired_sequences, plain_sequences
from ligero.pretraining.teacher_states import TeacherStates
from ligero.pretraining.vocabulary import Vocabulary
from ligero.settings.pretraining import Pretraining

Ints = NDArray[np.int64]
_SHORT, _LENGTH, _EPOCH, _VALIDATION, _SUMMARY = 21, 22, 23, 24, 25
LENGTHS = 8
"""Short sequences take one of the 7 shorter multiples of 1/8 of the length: few shapes to compile."""


@dataclass
class PretrainingBatch:
    """B rows of S tokens without padding, M of which are predicted.

    Attributes:
        input_ids, token_type_ids: int64 [B, S].
        positions: int64 [M], indices of the predicted tokens in the flattened [B * S] rows, ascending; with `cls_words` each
            row's [CLS] that many times too.
        labels: int64 [M], their ids; of a [CLS] those of words of its row.
        swapped: int64 [B], the sentence-order label.
        taught: int64 [K], indices of the tokens whose states a teacher gives, likewise; None without a teacher.
        states: float16 [K, D], those states.
        micro: the micro batches, where `cut` made them beforehand.
    """

    input_ids: Tensor
    token_type_ids: Tensor
    positions: Tensor
    labels: Tensor
    swapped: Tensor
    taught: Tensor | None = None
    states: Tensor | None = None
    micro: list[PretrainingBatch] = field(default_factory=list, kw_only=True)

    def __len__(self) -> int:
        return len(self.input_ids)

    @property
    def tokens(self) -> int:
        return self.input_ids.numel()

    def micro_batches(self, size: int) -> Iterator[PretrainingBatch]:
        """The batch in micro batches of `size` rows; those that `cut` made where they are of that size."""
        if self.micro and len(self.micro[0]) == min(size, len(self)):
            yield from self.micro
            return
        length = self.input_ids.shape[1]
        starts = range(0, len(self), size)
        edges = torch.tensor([*starts, len(self)]) * length
        predictions = _between(self.positions, edges)
        lessons = [slice(0)] * len(starts) if self.taught is None else _between(self.taught, edges)
        for start, predicted, learned in zip(starts, predictions, lessons, strict=True):
            rows = slice(start, start + size)
            yield PretrainingBatch(
                self.input_ids[rows],
                self.token_type_ids[rows],
                self.positions[predicted] - start * length,
                self.labels[predicted],
                self.swapped[rows],
                None if self.taught is None else self.taught[learned] - start * length,
                None if self.states is None else self.states[learned],
            )

    def cut(self, size: int, pin: bool) -> PretrainingBatch:
        """The batch with its micro batches of `size` rows made beforehand, where `pin` in page-locked memory.

        What the training thread then has left to do is to start the copies.
        """
        parts = list(self.micro_batches(size))
        return replace(self, micro=[part._pinned() for part in parts] if pin else parts)

    def to(self, device: torch.device) -> PretrainingBatch:
        """The batch on `device`; copied while the device works, where memory is pinned."""
        if device.type == "cpu":
            return self
        return PretrainingBatch(*(value.to(device, non_blocking=True) for value in self.inputs()))

    def _pinned(self) -> PretrainingBatch:
        """Copied to page-locked memory, from which copies to a GPU do not wait."""
        return PretrainingBatch(*(value.pin_memory() for value in self.inputs()))

    def inputs(self) -> tuple[Tensor, ...]:
        """What the objective reads, in the order of its arguments."""
        masked = (self.input_ids, self.token_type_ids, self.positions, self.labels, self.swapped)
        return masked if self.taught is None or self.states is None else (*masked, self.taught, self.states)


def _between(positions: Tensor, edges: Tensor) -> list[slice]:
    """Where the ascending `positions` between one edge and the next lie."""
    places = torch.searchsorted(positions, edges).tolist()
    return [slice(low, high) for low, high in pairwise(places)]


class BatchSource:
    """Draws batches from a token store by a recipe.

    Row r of step s is sample number s * batch_size + r; epochs visit every window once, each in an order of its own.
    Masks are drawn anew for each sample, or with `dupe_factor` are those of one of that many fixed copies.

    Args:
        states: a teacher's states of the store's tokens, for `objective: distil`.
    """

    def __init__(
        self,
        store: TokenStore,
        vocabulary: Vocabulary,
        recipe: Pretraining,
        states: TeacherStates | None = None,
    ) -> None:
        self.store, self.vocabulary, self.recipe, self.states = store, vocabulary, recipe, states
        self.pairs = recipe.objective == "mlm_sop"
        self.windows = Windows(store, recipe.sequence_length - self.overhead, recipe.seed)
        self._order = lru_cache(maxsize=2)(self._shuffled)

    @property
    def overhead(self) -> int:
        """Special tokens per row."""
        return 3 if self.pairs else 2

    def batch(self, step: int, first: int = 0, rows: int | None = None) -> PretrainingBatch:
        """Rows `first` .. `first + rows` of the global batch of `step` (all of them by default)."""
        recipe = self.recipe
        rows = recipe.batch_size if rows is None else rows
        samples = np.arange(rows, dtype=np.int64) + (step * recipe.batch_size + first)
        epochs, places = np.divmod(samples, self.windows.count)
        windows = np.empty_like(places)
        for epoch in np.unique(epochs):
            windows[epochs == epoch] = self._order(int(epoch))[places[epochs == epoch]]
        if recipe.dupe_factor is None:
            copies, keys = epochs, samples
        else:
            copies = epochs % recipe.dupe_factor
            keys = copies * self.windows.count + windows
        starts = self.windows.starts(windows, copies)
        length = self._length(step)
        return self._assembled(
            starts, length, recipe.seed, keys, self.store, self.states, cls_words=recipe.cls_words
        )

    def validation(
        self, store: TokenStore, rows: int, states: TeacherStates | None = None
    ) -> PretrainingBatch | None:
        """Up to `rows` fixed full-length rows of a held-out store, evenly spaced; None where it fills no row."""
        length = min(self.recipe.sequence_length, len(store) + self.overhead)
        content = length - self.overhead
        if content < 4:
            return None
        count = max(1, min(rows, len(store) // content))
        starts = np.linspace(0, len(store) - content, count).astype(np.int64)
        seed = seed_of(self.recipe.seed, _VALIDATION)
        return self._assembled(starts, length, seed, np.arange(count, dtype=np.int64), store, states)

    def _length(self, step: int) -> int:
        """Length of all rows of a step: now and then a whole step is short, so that nothing is ever padded."""
        recipe = self.recipe
        full = recipe.sequence_length
        if uniform(recipe.seed, _SHORT, step) >= recipe.short_sequence_probability:
            return full
        eighths = 1 + int(uniform(recipe.seed, _LENGTH, step) * (LENGTHS - 1))
        return max(min(8, full), full * eighths // LENGTHS)

    def _shuffled(self, epoch: int) -> Ints:
        generator = np.random.default_rng(seed_of(self.recipe.seed, _EPOCH, epoch))
        return generator.permutation(self.windows.count)

    def _assembled(
        self,
        starts: Ints,
        length: int,
        seed: int,
        keys: Ints,
        store: TokenStore,
        states: TeacherStates | None,
        *,
        cls_words: int = 0,
    ) -> PretrainingBatch:
        recipe, vocabulary = self.recipe, self.vocabulary
        if self.pairs:
            sequences = paired_sequences(store, vocabulary, starts, length, seed, keys)
        else:
            sequences = plain_sequences(store, vocabulary, starts, length)
        ids = sequences.input_ids
        chosen = chosen_positions(
            ids,
            sequences.special,
            predictions_per_row(length, recipe.masked_share),
            recipe.max_ngram,
            seed,
            keys,
            vocabulary.continues if recipe.whole_word else None,
        )
        positions = np.flatnonzero(chosen)
        labels = ids.reshape(-1)[positions]
        if cls_words:
            first = np.repeat(np.arange(len(ids)) * length, cls_words)
            columns = 1 + uniform(seed, _SUMMARY, keys[:, None], np.arange(cls_words)) * (length - 2)
            words = np.take_along_axis(ids, columns.astype(np.int64), axis=1).reshape(-1)
            order = np.argsort(np.concatenate([first, positions]), kind="stable")
            positions = np.concatenate([first, positions])[order]
            labels = np.concatenate([words, labels])[order]
        return PretrainingBatch(
            torch.from_numpy(masked_ids(ids, chosen, vocabulary, seed, keys)),
            torch.from_numpy(sequences.token_type_ids),
            torch.from_numpy(positions),
            torch.from_numpy(labels),
            torch.from_numpy(sequences.swapped),
            *(() if states is None else states.of_rows(starts, length)),
        )


_STEPS_AHEAD = 3


def batches_of(
    source: BatchSource,
    share: tuple[int, int],
    steps: Iterable[int],
    micro_batch_size: int,
    device: torch.device,
) -> Iterator[PretrainingBatch]:
    """This process's share (first row, rows) of the batch of each step, cut into micro batches.

    For a GPU a thread does it ahead, pinning too, so that the training thread only starts copies. On a CPU it would take cores
    from the computing.
    """
    on_gpu = device.type == "cuda"

    def made() -> Iterator[PretrainingBatch]:
        for step in steps:
            yield source.batch(step, *share).cut(micro_batch_size, pin=on_gpu)

    if not on_gpu:
        yield from made()
        return
    ahead = ReadAhead(made, _STEPS_AHEAD)
    try:
        yield from ahead
    finally:
        ahead.close()
