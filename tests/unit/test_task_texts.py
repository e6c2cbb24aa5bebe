"""What a vocabulary has to read of a split: every text once as often as it stands there, contexts once."""

from __future__ import annotations

from pathlib import Path

import pytest

from ligero.common.records import digests_of, write_record
from ligero.settings.tasks import TaskType
from ligero.tasks.examples import (
    Answer,
    ClassificationExample,
    Example,
    QuestionExample,
    TaggingExample,
    write_examples,
)
from ligero.tasks.texts import split_texts

CASES: list[tuple[TaskType, list[Example], list[str]]] = [
    (
        "sequence_classification",
        [
            ClassificationExample("1", "a", "uno", "dos", "X"),
            ClassificationExample("2", "a", "uno", None, "X"),
        ],
        ["uno", "uno", "dos"],
    ),
    ("token_classification", [TaggingExample("1", "a", ("el", "niño"), ("X", "X"))], ["el niño"]),
    (
        "question_answering",
        [QuestionExample(n, "a", "el texto", f"¿{n}?", (Answer("el", 0),)) for n in "12"],
        ["¿1?", "¿2?", "el texto"],
    ),
]


@pytest.mark.parametrize(("task_type", "examples", "texts"), CASES)
def test_texts_of_a_split(
    task_type: TaskType, examples: list[Example], texts: list[str], tmp_path: Path
) -> None:
    write_examples(tmp_path / "test.parquet", task_type, ["X"], examples)
    write_record(tmp_path / "info.json", {"files": digests_of(tmp_path, ["test.parquet"])})
    assert list(split_texts(tmp_path / "test.parquet")) == texts
