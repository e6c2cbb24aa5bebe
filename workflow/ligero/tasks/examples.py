"""The three kinds of examples that readers yield, and the Parquet files they are kept in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from ligero.common.files import atomic_path
from ligero.settings.tasks import TaskType
from ligero.tasks.dataset_schema import with_features

if TYPE_CHECKING:
    import pyarrow


@dataclass(frozen=True, slots=True)
class ClassificationExample:
    """One text, or a pair of texts, with its label."""

    id: str
    group: str
    text: str
    second_text: str | None
    label: str


@dataclass(frozen=True, slots=True)
class TaggingExample:
    """A sentence as words, each with its label."""

    id: str
    group: str
    words: tuple[str, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """A reference answer: `context[start : start + len(text)] == text`, in characters of a Python string."""

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class QuestionExample:
    """A question on a context, with its reference answers."""

    id: str
    group: str
    context: str
    question: str
    answers: tuple[Answer, ...]


IGNORED = -100
"""Label of what no loss on gold labels counts: tokens outside words, and what is unlabelled."""


class ClassificationRow(TypedDict):
    """What is encoded of a row of an examples file; labels are numbers."""

    text: str
    second_text: str | None
    label: int


class TaggingRow(TypedDict):
    """Likewise; one label for each word."""

    words: list[str]
    labels: list[int]


class AnswerRow(TypedDict):
    """An `Answer`, as the files hold it."""

    text: str
    start: int


class QuestionRow(TypedDict):
    """Likewise."""

    id: str
    context: str
    question: str
    answers: list[AnswerRow]


Example = ClassificationExample | TaggingExample | QuestionExample


def content_key(example: Example) -> tuple[Any, ...]:
    """What two examples share when they hold the same text, whatever their ids and labels."""
    if isinstance(example, ClassificationExample):
        return (example.text, example.second_text)
    if isinstance(example, TaggingExample):
        return example.words
    return (example.context, example.question)


def digest_examples(examples: Iterable[Example]) -> str:
    """16 hexadecimal digits over everything in the examples, in order; the same on every machine."""
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    digest = hashlib.sha256()
    for example in examples:
        digest.update(encode(_values(example)).encode())
        digest.update(b"\n")
    return digest.hexdigest()[:16]


def _values(example: Example) -> tuple[Any, ...]:
    """Everything in an example (dataclasses.astuple would copy it deeply, ten times slower)."""
    if isinstance(example, ClassificationExample):
        return (example.id, example.group, example.text, example.second_text, example.label)
    if isinstance(example, TaggingExample):
        return (example.id, example.group, example.words, example.labels)
    answers = [(answer.text, answer.start) for answer in example.answers]
    return (example.id, example.group, example.context, example.question, answers)


def _schema(task_type: TaskType) -> pyarrow.Schema:
    import pyarrow as pa

    shared = [pa.field("id", pa.string(), nullable=False), pa.field("group", pa.string(), nullable=False)]
    own = {
        "sequence_classification": [
            pa.field("text", pa.string(), nullable=False),
            pa.field("second_text", pa.string()),
            pa.field("label", pa.int64()),
        ],
        "token_classification": [
            pa.field("words", pa.list_(pa.string())),
            pa.field("labels", pa.list_(pa.int64())),
        ],
        "question_answering": [
            pa.field("context", pa.string(), nullable=False),
            pa.field("question", pa.string(), nullable=False),
            pa.field("answers", pa.list_(pa.struct([("text", pa.string()), ("start", pa.int32())]))),
        ],
    }
    return pa.schema([*shared, *own[task_type]])


def write_examples(
    path: Path, task_type: TaskType, labels: Sequence[str], examples: Sequence[Example]
) -> None:
    """Write one split as Parquet (columns: `_schema`), atomically; labels become indices into `labels`, whose names the schema keeps."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    index = {label: number for number, label in enumerate(labels)}
    rows = list(_rows(examples, index))
    columns = list(zip(*rows, strict=True)) if rows else None
    schema = with_features(_schema(task_type), {"label": labels, "labels": labels})
    arrays = [
        pa.array(columns[number] if columns else [], type=field.type) for number, field in enumerate(schema)
    ]
    with atomic_path(path) as temporary:
        pq.write_table(pa.Table.from_arrays(arrays, schema=schema), temporary, compression="zstd")


def _rows(examples: Iterable[Example], index: dict[str, int]) -> Iterator[tuple[Any, ...]]:
    for example in examples:
        if isinstance(example, ClassificationExample):
            yield example.id, example.group, example.text, example.second_text, index[example.label]
        elif isinstance(example, TaggingExample):
            yield example.id, example.group, list(example.words), [index[label] for label in example.labels]
        else:
            answers = [AnswerRow(text=answer.text, start=answer.start) for answer in example.answers]
            yield example.id, example.group, example.context, example.question, answers
