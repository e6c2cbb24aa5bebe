"""Which tokens of each feature carry logits that can be distilled, and where their text is: numpy only.

A layout is the common ground between a teacher's features and a student's. It is ragged: feature f holds the entries
`offsets[f]:offsets[f + 1]` of the flat arrays.

| task type | entries of a feature |
|---|---|
| sequence_classification | one, at [CLS] |
| token_classification | the first subword of each word that was not cut away |
| question_answering | [CLS] (no answer), then every context token of the window |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ligero.common.errors import MismatchError
from ligero.tasks.encoding import word_starts

if TYPE_CHECKING:  # its module imports torch, which alignment does without
    from ligero.training.features import EncodedSplit

Ints = NDArray[np.integer[Any]]
Flags = NDArray[np.bool_]

NO_WORD = -1


@dataclass(frozen=True)
class TokenLayout:
    """Positions of the distillable tokens of F features, N entries in all.

    Attributes:
        examples: int32 [F], row of the feature's example in the examples file.
        offsets: int64 [F + 1].
        positions: int32 [N], index of the token in its feature.
        words: int32 [N], index of the word (tagging) or of the context word in which the token starts (question answering);
            -1 for [CLS] and for tokens outside words.
        starts, ends: int32 [N], character span in the context, -1 for [CLS]; question answering only, else empty.
    """

    examples: Ints
    offsets: Ints
    positions: Ints
    words: Ints
    starts: Ints
    ends: Ints

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def entries(self) -> int:
        return len(self.positions)

    @property
    def counts(self) -> Ints:
        """int64 [F], entries of each feature."""
        return np.diff(self.offsets)

    @property
    def features(self) -> Ints:
        """int64 [N], the feature of each entry."""
        return np.repeat(np.arange(len(self)), self.counts)

    def equals(self, other: TokenLayout) -> bool:
        """Whether both describe the same tokens of the same text."""
        return all(
            np.array_equal(getattr(self, name), getattr(other, name))
            for name in ("examples", "offsets", "positions", "words", "starts", "ends")
        )


def layout_of(split: EncodedSplit) -> TokenLayout:
    """The layout of a split of any task type."""
    if split.task_type == "sequence_classification":
        return classification_layout(split.examples)
    if split.task_type == "token_classification":
        return tagging_layout(split.examples, split.offsets, split.word_ids)
    return answering_layout(split.examples, split.offsets, split.word_ids, split.start, split.end)


def classification_layout(examples: Ints) -> TokenLayout:
    """One entry a feature, at [CLS]."""
    count = len(examples)
    zeros = np.zeros(count, np.int32)
    empty = np.zeros(0, np.int32)
    return TokenLayout(
        np.asarray(examples, np.int32), np.arange(count + 1), zeros, zeros + NO_WORD, empty, empty
    )


def tagging_layout(examples: Ints, token_offsets: Ints, word_ids: Ints) -> TokenLayout:
    """First subword of each word.

    Args:
        examples: [F].
        token_offsets: [F + 1], where each feature's tokens begin in `word_ids`.
        word_ids: [tokens], -1 for special tokens.
    """
    positions, features = _inner_positions(token_offsets)
    first = word_starts(word_ids, token_offsets)
    empty = np.zeros(0, np.int32)
    return TokenLayout(
        np.asarray(examples, np.int32),
        _offsets_of(features[first], len(examples)),
        positions[first].astype(np.int32),
        word_ids[first].astype(np.int32),
        empty,
        empty,
    )


def answering_layout(
    examples: Ints, token_offsets: Ints, word_ids: Ints, starts: Ints, ends: Ints
) -> TokenLayout:
    """[CLS] and every context token of each window; flat token columns as in `tagging_layout`."""
    positions, features = _inner_positions(token_offsets)
    kept = (starts >= 0) | (positions == 0)
    return TokenLayout(
        np.asarray(examples, np.int32),
        _offsets_of(features[kept], len(examples)),
        positions[kept].astype(np.int32),
        word_ids[kept].astype(np.int32),
        starts[kept].astype(np.int32),
        ends[kept].astype(np.int32),
    )


def _inner_positions(offsets: Ints) -> tuple[Ints, Ints]:
    """Position of every token in its feature, and its feature."""
    counts = np.diff(offsets)
    features = np.repeat(np.arange(len(counts)), counts)
    return np.arange(len(features)) - np.repeat(np.asarray(offsets[:-1]) - offsets[0], counts), features


def _offsets_of(features: Ints, count: int) -> Ints:
    """[count + 1] offsets of a flat array whose entries belong to these features, in order."""
    return np.concatenate([[0], np.cumsum(np.bincount(features, minlength=count))]).astype(np.int64)


def ragged_indices(offsets: Ints, rows: Ints) -> tuple[Ints, Ints]:
    """Flat indices of the entries of some rows, in the rows' order, and the number (0, 1, ...) of the row of each."""
    begins, counts = offsets[rows], offsets[np.asarray(rows) + 1] - offsets[rows]
    inner = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(begins, counts) + inner, np.repeat(np.arange(len(rows)), counts)


def require_same_examples(student: TokenLayout, teacher: TokenLayout, what: str) -> None:
    """Every example of the student must have been seen by the teacher.

    Raises:
        MismatchError: names the first example without logits.
    """
    missing = np.setdiff1d(student.examples, teacher.examples)
    if len(missing):
        raise MismatchError(
            f"{what}: the teacher has no logits for {len(missing)} of the student's examples, the first is row {missing[0]} of "
            "train.parquet. Logits and student were made from different data; build the logits again."
        )
