"""How text becomes what a model reads: special tokens, cut pairs, windows over a context. Needs numbers and strings only.

Training and serving share this, so that a served model reads exactly what it was trained on.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ligero.tokenizers.fast_tokenizer import FastTokenizer

if TYPE_CHECKING:
    from ligero.tasks.examples import AnswerRow  # imports pydantic, which serving does without

WORD = re.compile(r"\w+|[^\w\s]")
"""A word of a context in question answering: where vocabularies meet when logits are aligned."""


@dataclass(frozen=True)
class Template:
    """The special tokens around texts: `before` first `between` second `after`, with the segment ids of each part."""

    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]
    segments: tuple[int, int, int, int, int]
    """Segment ids of before, first, between, second, after."""
    single_after: tuple[int, ...]
    """What follows a text that stands alone."""

    @classmethod
    def of(cls, encoder: FastTokenizer) -> Template:
        """Read the template off an encoded pair."""
        backend = encoder.backend
        single, pair = backend.encode("a"), backend.encode("a", "a")
        sequences = pair.sequence_ids
        parts: list[list[int]] = [[], [], [], [], []]
        segments = [0, 0, 0, 0, 0]
        part = 0
        for token, segment, sequence in zip(pair.ids, pair.type_ids, sequences, strict=True):
            specials = part if part in (0, 2, 4) else part + 1
            wanted = specials if sequence is None else 1 + 2 * sequence
            part = max(part, wanted)
            parts[part].append(token)
            segments[part] = segment
        uses = encoder.uses_token_types
        return cls(
            before=tuple(parts[0]),
            between=tuple(parts[2]),
            after=tuple(parts[4]),
            segments=tuple(segments) if uses else (0, 0, 0, 0, 0),  # type: ignore[arg-type]
            single_after=tuple(
                token
                for token, sequence in zip(single.ids, single.sequence_ids, strict=True)
                if sequence is None
            )[len(parts[0]) :],
        )

    @property
    def single_length(self) -> int:
        """Special tokens around one text."""
        return len(self.before) + len(self.single_after)

    @property
    def pair_length(self) -> int:
        """Special tokens around a pair."""
        return len(self.before) + len(self.between) + len(self.after)

    def single(self, ids: Sequence[int]) -> tuple[list[int], list[int]]:
        """Token ids and segment ids of one text."""
        tokens = [*self.before, *ids, *self.single_after]
        return tokens, [self.segments[0]] * len(tokens)

    def pair(self, first: Sequence[int], second: Sequence[int]) -> tuple[list[int], list[int]]:
        """Token ids and segment ids of a pair."""
        parts = (self.before, first, self.between, second, self.after)
        tokens = [token for part in parts for token in part]
        segments = [
            segment for part, segment in zip(parts, self.segments, strict=True) for _ in range(len(part))
        ]
        return tokens, segments

    def cut_to(
        self, first: Sequence[int], second: Sequence[int] | None, max_length: int
    ) -> tuple[list[int], list[int], bool]:
        """Token ids and segment ids of a text or a pair in at most `max_length` tokens, and whether any were cut off."""
        if second is None:
            room = max_length - self.single_length
            return *self.single(first[:room]), len(first) > room
        left, right = truncated_pair(len(first), len(second), max_length - self.pair_length)
        return *self.pair(first[:left], second[:right]), left < len(first) or right < len(second)


def truncated_pair(first: int, second: int, room: int) -> tuple[int, int]:
    """Lengths of a pair after taking tokens off the longer text, the second where both are equal, until both fit."""
    excess = first + second - room
    if excess <= 0:
        return first, second
    first_left, second_left = first, second
    if first > second:
        first_left -= min(excess, first - second)
    else:
        second_left -= min(excess, second - first)
    excess = first_left + second_left - room
    if excess > 0:  # equal by now: alternate, the second first
        first_left, second_left = first_left - excess // 2, second_left - (excess - excess // 2)
    return max(first_left, 0), max(second_left, 0)


@dataclass(frozen=True)
class ContextTokens:
    """The tokens of a context with their character spans (leading white space cut off) and words."""

    ids: list[int]
    starts: list[int]
    ends: list[int]
    words: list[int]

    @classmethod
    def of(cls, context: str, ids: list[int], offsets: list[tuple[int, int]]) -> ContextTokens:
        word_at = [-1] * (len(context) + 1)
        for number, word in enumerate(WORD.finditer(context)):
            word_at[word.start() : word.end()] = [number] * (word.end() - word.start())
        starts, ends, words = [], [], []
        for start, end in offsets:
            # SentencePiece counts the space before a word to it, and a token may be nothing but that space.
            while start < end and context[start].isspace():
                start += 1
            starts.append(start)
            ends.append(end)
            words.append(word_at[start] if start < end else -1)
        return cls(ids, starts, ends, words)

    def token_span(self, answers: Sequence[AnswerRow]) -> tuple[int, int] | None:
        """First and last token of the first answer, or None where there is none."""
        if not answers or not self.ids:
            return None
        begin = answers[0]["start"]
        stop = begin + len(answers[0]["text"])
        last = min(bisect_left(self.ends, stop), len(self.ids) - 1)
        first = max(bisect_right(self.starts, begin) - 1, 0)
        # Bytes of one character are tokens with the same span; the answer starts at the first of them.
        while first > 0 and self.starts[first - 1] == self.starts[first] and self.ends[first - 1] > begin:
            first -= 1
        return (first, last) if first <= last else None


def windows(tokens: int, room: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Begin and end of the windows over a context; neighbours share `overlap` tokens."""
    begin = 0
    while True:
        yield begin, min(begin + room, tokens)
        if begin + room >= tokens:
            return
        begin += room - overlap
