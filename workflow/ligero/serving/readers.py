"""From an item to what the model reads, and from the model's logits to an answer: one class per type of task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ligero.common.errors import LigeroError
from ligero.serving.answers import Answer, Depth, Entity, Item, TaggedWord
from ligero.serving.manifest import Manifest
from ligero.tasks.inputs import WORD, ContextTokens, Template, windows
from ligero.tasks.metrics import chunks
from ligero.tasks.squad_answers import Candidate, Window, candidates
from ligero.tokenizers.fast_tokenizer import FastTokenizer

Floats = NDArray[np.float32]
Outputs = dict[str, Floats]
"""Logits of one feature by the graph's output names, without padding."""


class InputError(LigeroError):
    """An item that cannot be answered: a key is missing or unknown, or a value has the wrong type.

    Args:
        item: its number among several, counted from 1.
    """

    def __init__(self, message: str, item: int = 1) -> None:
        super().__init__(message)
        self.item = item


class Feature(NamedTuple):
    """One input of the model."""

    tokens: list[int]
    segments: list[int]


@dataclass(frozen=True)
class Question:
    """An item ready for the model: its features, and how their outputs become its answer."""

    features: list[Feature]
    answer: Callable[[Sequence[Outputs]], Answer]
    words: int = 0
    """Of which the answer says something each, those that are cut off too."""

    @property
    def tokens(self) -> int:
        return sum(len(feature.tokens) for feature in self.features)


class Reader(ABC):
    """What the reading of all types of tasks has in common."""

    def __init__(self, manifest: Manifest, tokenizer: FastTokenizer) -> None:
        self.manifest, self.tokenizer = manifest, tokenizer
        self.template = Template.of(tokenizer)

    @abstractmethod
    def read(self, item: Item) -> Question:
        """Make an item ready.

        Raises:
            InputError: it is not what the task needs.
        """

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode_batch([text], add_special_tokens=False)[0].ids
        return ids


class ClassificationReader(Reader):
    """`{"text": ...}`, and `"second_text"` where the model was trained on pairs."""

    def read(self, item: Item) -> Question:
        pairs = self.manifest.pairs
        values = _texts(item, ("text", "second_text") if pairs else ("text",))
        ids = [self._ids(value) for value in values]
        tokens, segments, was_cut = self.template.cut_to(
            ids[0], ids[1] if pairs else None, self.manifest.max_length
        )

        def answer(outputs: Sequence[Outputs]) -> Answer:
            chances = _softmax(outputs[0]["logits"])
            scores = dict(zip(self.manifest.labels, chances.tolist(), strict=True))
            label = self.manifest.labels[int(chances.argmax())]
            return {
                "label": label,
                "score": scores[label],
                "scores": scores,
                "tokens": len(tokens),
                "truncated": was_cut,
                **_depth(outputs),
            }

        return Question([Feature(tokens, segments)], answer)


class TaggingReader(Reader):
    """`{"text": ...}`, which is cut into words and signs, or `{"words": [...]}`."""

    def __init__(self, manifest: Manifest, tokenizer: FastTokenizer) -> None:
        super().__init__(manifest, tokenizer)
        self.marks_entities = any(label.startswith("B-") for label in manifest.labels)

    def read(self, item: Item) -> Question:
        if isinstance(item, Mapping) and "words" in item:
            words = _words(item)
            text = " ".join(words)
            starts = np.cumsum([0, *(len(word) + 1 for word in words)])[:-1].tolist()
        else:
            (text,) = _texts(item, ("text",), "words")
            words, starts = [], []
            for match in WORD.finditer(text):  # a loop of Python's, beside which the server answers others
                words.append(match.group())
                starts.append(match.start())
        room = self.manifest.max_length - self.template.single_length
        ids, word_ids = self._encode(words, room)
        tokens, segments = self.template.single(ids[:room])
        before = len(self.template.before)
        firsts = {word: before + place for place, word in reversed(list(enumerate(word_ids[:room])))}

        def answer(outputs: Sequence[Outputs]) -> Answer:
            chances = _softmax(outputs[0]["logits"])
            tagged: list[TaggedWord] = []
            for number, (word, start) in enumerate(zip(words, starts, strict=True)):
                place = firsts.get(number)
                best = None if place is None else int(chances[place].argmax())
                tagged.append(
                    {
                        "word": word,
                        "start": start,
                        "end": start + len(word),
                        "label": None if best is None else self.manifest.labels[best],
                        "score": None if place is None else float(chances[place].max()),
                    }
                )
            return {
                "words": tagged,
                "entities": self._entities(text, tagged) if self.marks_entities else [],
                "tokens": len(tokens),
                "truncated": len(ids) > room,
                **_depth(outputs),
            }

        return Question([Feature(tokens, segments)], answer, len(words))

    def _encode(self, words: list[str], room: int) -> tuple[list[int], list[int]]:
        """Ids and their words, as far as the model reads and one further, where there are so many: a text may be a book."""
        ids: list[int] = []
        word_ids: list[int] = []
        for begin in range(0, len(words), self.manifest.max_length):
            more, of = self.tokenizer.encode_words(words[begin : begin + self.manifest.max_length])
            ids += more
            word_ids += [begin + word for word in of]
            if len(ids) > room:
                break
        return ids, word_ids

    @staticmethod
    def _entities(text: str, words: list[TaggedWord]) -> list[Entity]:
        (spans,) = chunks([[word["label"] or "O" for word in words]])
        entities: list[Entity] = []
        for kind, first, last in sorted(spans, key=lambda span: span[1]):
            inside = words[first : last + 1]
            start, end = inside[0]["start"], inside[-1]["end"]
            score = float(np.mean([word["score"] for word in inside if word["score"] is not None]))
            entities.append(
                {"type": kind, "text": text[start:end], "start": start, "end": end, "score": score}
            )
        return entities


class AnsweringReader(Reader):
    """`{"question": ..., "context": ...}`; a context longer than the model reads is cut into overlapping windows."""

    def read(self, item: Item) -> Question:
        question, context = _texts(item, ("question", "context"))
        asked = self._ids(question)
        room = self.manifest.max_length - self.template.pair_length - len(asked)
        if room < 1:
            raise InputError(
                f"the question has {len(asked)} tokens, which leaves none of the model's "
                f"{self.manifest.max_length} for its context; ask a shorter one"
            )
        encoding = self.tokenizer.encode_batch([context], add_special_tokens=False)[0]
        found = ContextTokens.of(context, encoding.ids, encoding.offsets)
        spans = list(windows(len(found.ids), room, min(self.manifest.doc_stride, room // 2)))
        features = [Feature(*self.template.pair(asked, found.ids[begin:stop])) for begin, stop in spans]
        lead = len(self.template.before) + len(asked) + len(self.template.between)

        def answer(outputs: Sequence[Outputs]) -> Answer:
            seen = [
                Window(
                    logits["start"][lead : lead + stop - begin],
                    logits["end"][lead : lead + stop - begin],
                    np.array(found.starts[begin:stop], np.int64),
                    np.array(found.ends[begin:stop], np.int64),
                )
                for logits, (begin, stop) in zip(outputs, spans, strict=True)
            ]
            ranked = candidates(context, seen, self.manifest.n_best, self.manifest.max_answer_length)
            best = ranked[0] if ranked else Candidate("", 0, 0, 0.0)
            share = _softmax(np.array([candidate.score for candidate in ranked]))[0] if ranked else 0.0
            return {
                "answer": best.text,
                "start": best.start,
                "end": best.end,
                "score": float(share),
                "tokens": sum(len(feature.tokens) for feature in features),
                "windows": len(spans),
                "truncated": False,
                **_depth(outputs),
            }

        return Question(features, answer)


READERS: dict[str, type[Reader]] = {
    "sequence_classification": ClassificationReader,
    "token_classification": TaggingReader,
    "question_answering": AnsweringReader,
}


def _depth(outputs: Sequence[Outputs]) -> Depth:
    """How deep the graph read, if it has exits."""
    if "repetitions" not in outputs[0]:
        return {}
    return {"repetitions": int(sum(output["repetitions"] for output in outputs))}


def _softmax(logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    values = np.asarray(logits, np.float64)
    values = np.exp(values - values.max(axis=-1, keepdims=True))
    return values / values.sum(axis=-1, keepdims=True)


def _texts(item: Item, keys: tuple[str, ...], instead: str | None = None) -> tuple[str, ...]:
    """The values of `keys`, all of which must be there and no others (but `id`); a plain string is the only key's value."""
    expected = " and ".join(f"'{key}'" for key in keys) + (f" (or '{instead}')" if instead else "")
    if isinstance(item, str) and len(keys) == 1:
        item = {keys[0]: item}
    if not isinstance(item, Mapping):
        raise InputError(f"expected an object with {expected}, found {_kind(item)}")
    if missing := [key for key in keys if key not in item]:
        raise InputError(f"'{missing[0]}' is missing; expected {expected}")
    if unknown := [key for key in item if key not in (*keys, "id")]:
        raise InputError(f"unknown key '{unknown[0]}'; expected {expected}")
    return tuple(_text(item[key], key) for key in keys)


def _words(item: Mapping[str, Any]) -> list[str]:
    if unknown := [key for key in item if key not in ("words", "id")]:
        raise InputError(f"unknown key '{unknown[0]}' next to 'words'")
    words = item["words"]
    if not isinstance(words, list | tuple):
        raise InputError(f"'words' must be a list of strings, found {_kind(words)}")
    return [_text(word, f"words[{number}]") for number, word in enumerate(words)]


_KINDS = {
    type(None): "null", bool: "true or false", int: "a number", float: "a number", str: "a string", list: "a list", dict: "an object",
}  # fmt: skip


def _kind(value: object) -> str:
    """What JSON calls a value."""
    return _KINDS.get(type(value), type(value).__name__)


def _text(value: Any, key: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"'{key}' must be a string, found {_kind(value)}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"'{key}' holds half of a surrogate pair at character {error.start}") from error
    return value
