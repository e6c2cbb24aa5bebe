"""What a model is asked, and what it answers, by type of task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

Item = str | Mapping[str, Any]
"""What is asked: a text, or an object with the task's keys and, if wanted, an `id` that the answer repeats."""


class Depth(TypedDict, total=False):
    """How deep a model with early exits read."""

    repetitions: int
    """Of its layer; in question answering the sum over all windows."""


class LabelAnswer(Depth):
    """Classification."""

    id: NotRequired[Any]
    label: str
    score: float
    """Probability of the label."""
    scores: dict[str, float]
    """Probability of every label."""
    tokens: int
    """Tokens that the model read, special ones included."""
    truncated: bool
    """Whether the text was longer than the model reads, so that its end was ignored."""


class TaggedWord(TypedDict):
    word: str
    start: int
    end: int
    label: str | None
    """None where the model did not read the word: it was cut off, or has no tokens."""
    score: float | None


class Entity(TypedDict):
    type: str
    text: str
    start: int
    """First character in the text, counted in Unicode code points."""
    end: int
    """Character after the last."""
    score: float
    """Mean probability of its words' labels."""


class TagsAnswer(Depth):
    """Tagging; of words given one by one, characters are counted in the words joined by spaces."""

    id: NotRequired[Any]
    words: list[TaggedWord]
    entities: list[Entity]
    """Empty where the labels do not mark the beginnings of entities (parts of speech)."""
    tokens: int
    truncated: bool


class SpanAnswer(Depth):
    """Question answering."""

    id: NotRequired[Any]
    answer: str
    start: int
    end: int
    score: float
    """Share of this span among the likeliest ones (softmax of start logit + end logit), as SQuAD's scripts define it."""
    tokens: int
    windows: int
    """Into how many overlapping windows the context was cut. All of it is read."""
    truncated: bool


Answer = LabelAnswer | TagsAnswer | SpanAnswer
