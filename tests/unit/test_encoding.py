"""Encoding: templates, truncation, windows, answers placed on tokens, and the files read back by the training floor."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ligero.common.errors import DataError
from ligero.common.records import digests_of, read_record, write_record
from ligero.settings.training import TrainingOptions
from ligero.tasks.encoding import encode_split, encode_task
from ligero.tasks.examples import (
    Answer,
    ClassificationExample,
    QuestionExample,
    TaggingExample,
    write_examples,
)
from ligero.tasks.inputs import Template, truncated_pair, windows
from ligero.training.features import EncodedSplit
from tests.builders.encoding import encoder, job, place


def test_template_of_bert_and_roberta() -> None:
    bert = Template.of(encoder())
    assert (bert.before, bert.between, bert.after, bert.single_after) == ((0,), (1,), (1,), (1,))
    assert bert.pair([7, 8], [9]) == ([0, 7, 8, 1, 9, 1], [0, 0, 0, 0, 1, 1])
    roberta = Template.of(encoder("roberta"))
    assert roberta.pair([7], [9]) == ([0, 7, 1, 1, 9, 1], [0] * 6)
    assert roberta.pair_length == 4
    assert roberta.single([7]) == ([0, 7, 1], [0, 0, 0])


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_truncation_takes_from_the_longer_text_one_token_at_a_time(
    first: int, second: int, room: int
) -> None:
    a, b = first, second
    while a + b > room:
        if a > b:
            a -= 1
        else:
            b -= 1
    assert truncated_pair(first, second, room) == (a, b)


@given(st.integers(0, 200), st.integers(1, 40), st.integers(0, 39))
def test_windows_cover_everything_and_overlap(tokens: int, room: int, overlap: int) -> None:
    overlap = min(overlap, room - 1)
    spans = list(windows(tokens, room, overlap))
    assert spans[0][0] == 0
    assert spans[-1][1] == tokens
    for (_, stop), (begin, _) in itertools.pairwise(spans):
        assert stop - begin == overlap
    assert all(0 <= stop - begin <= room for begin, stop in spans)


def test_classification_pairs_are_cut_and_counted(tmp_path: Path) -> None:
    examples = [
        ClassificationExample("1", "g", "abcdef", "ab", "y"),
        ClassificationExample("2", "g", "ab", None, "x"),
    ]
    write_examples(tmp_path / "e.parquet", "sequence_classification", ["x", "y"], examples)
    features, counted = encode_split(job("sequence_classification", 8), encoder(), tmp_path / "e.parquet")
    assert counted == {"examples": 2, "truncated": 1}
    assert features.scalars["label"].tolist() == [1, 0]
    assert np.diff(features.offsets).tolist() == [8, 4]
    assert features.tokens["token_type_ids"].tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0]


def _tagging(tmp_path: Path, max_length: int, **options: Any) -> tuple[EncodedSplit, dict[str, Any]]:
    folder = tmp_path / "tasks"
    examples = [
        TaggingExample("1", "g", ("ab", "c", "def"), ("O", "B-X", "I-X")),
        TaggingExample("2", "g", ("c", "c"), ("O", "O")),
    ]
    for split in ("train", "validation", "test"):
        write_examples(folder / f"{split}.parquet", "token_classification", ["O", "B-X", "I-X"], examples)
    digests = {"train": "1", "validation": "2", "test": "3"}
    files = digests_of(folder, (f"{split}.parquet" for split in digests))
    write_record(
        folder / "info.json", {"task": "t", "labels": ["O", "B-X", "I-X"], "digests": digests, "files": files}
    )
    backend = encoder()
    backend.backend.save(str(tmp_path / "fast_tokenizer.json"))
    backend.info.write(tmp_path)
    encode_task(job("token_classification", max_length), "v", tmp_path, folder, tmp_path / "v" / "t")

    info = read_record(tmp_path / "v" / "t" / "info.json")
    loaded = EncodedSplit.load(
        tmp_path / "v" / "t" / "train.parquet", "token_classification", TrainingOptions(**options)
    )
    return loaded, info


def test_tagging_labels_first_or_every_subword(tmp_path: Path) -> None:
    first, _ = _tagging(tmp_path, 32)
    assert first.word_ids.tolist() == [-1, 0, 0, 1, 2, 2, 2, -1, -1, 0, 1, -1]
    assert first.labels.tolist() == [-100, 0, -100, 1, 2, -100, -100, -100, -100, 0, 0, -100]
    every, _ = _tagging(tmp_path, 32, label_subwords="all")
    assert every.labels.tolist() == [-100, 0, 0, 1, 2, 2, 2, -100, -100, 0, 0, -100]


def test_tagging_cuts_words_keeps_special_tokens_and_counts(tmp_path: Path) -> None:
    split, info = _tagging(tmp_path, 6)
    assert info["counts"]["train"] == {
        "features": 2,
        "examples": 2,
        "truncated": 1,
        "lost_words": 0,
        "words_without_tokens": 0,
    }
    split, info = _tagging(tmp_path, 5)
    assert info["counts"]["train"]["lost_words"] == 1
    split, _ = _tagging(tmp_path, 32, max_words=1)
    assert split.lengths.tolist() == [4, 3]
    assert split.input_ids[[0, 3, 4, 6]].tolist() == [0, 1, 0, 1]


CONTEXT = "Ñandú, el año pasado.  ¿Quién vino ayer?  El niño comió piñas y un pez."


@pytest.mark.parametrize("style", ["bert", "roberta"])
@pytest.mark.parametrize("answer", ["Ñandú", "año pasado", "piñas", "pez.", "¿Quién vino"])
def test_answers_are_found_again_at_their_tokens(tmp_path: Path, style: str, answer: str) -> None:
    context = CONTEXT.lower()
    answer = answer.lower()
    example = QuestionExample("q", "g", context, "¿que?", (Answer(answer, context.index(answer)),))
    write_examples(tmp_path / "e.parquet", "question_answering", [], [example])
    features, counted = encode_split(
        job("question_answering", 40, 16), encoder(style), tmp_path / "e.parquet"
    )
    assert counted["several_windows"] == 1
    found = 0
    words = re.findall(r"\w+|[^\w\s]", context)
    for feature in range(len(features)):
        low, high = features.offsets[feature], features.offsets[feature + 1]
        starts = features.tokens["start"][low:high]
        ends = features.tokens["end"][low:high]
        begin, stop = features.scalars["start_position"][feature], features.scalars["end_position"][feature]
        if begin:
            assert context[starts[begin] : ends[stop]] == answer
            found += 1
        for start, word in zip(starts, features.tokens["word_ids"][low:high], strict=True):
            assert (start < 0) == (word < 0)
            if word >= 0:
                assert context[start] in words[word]
    assert found + counted["windows_without_answer"] == len(features)
    assert found >= 1


def test_a_question_that_fills_the_window_is_an_error_that_names_it(tmp_path: Path) -> None:
    example = QuestionExample("q7", "g", "abc", "abcdefgh", (Answer("a", 0),))
    write_examples(tmp_path / "e.parquet", "question_answering", [], [example])
    with pytest.raises(DataError, match="'q7' has 8 tokens"):
        encode_split(job("question_answering", 11), encoder(), tmp_path / "e.parquet")
    _, counted = encode_split(job("question_answering", 12), encoder(), tmp_path / "e.parquet")
    assert counted["less_overlap"] == 1


def test_an_empty_or_foreign_file_is_refused(tmp_path: Path) -> None:
    write_examples(tmp_path / "e.parquet", "question_answering", [], [])
    (tmp_path / "x.parquet").write_text("not parquet")
    with pytest.raises(DataError, match=r"info\.json: no such file"):
        EncodedSplit.load(tmp_path / "e.parquet", "question_answering", TrainingOptions())
    files = digests_of(tmp_path, ["e.parquet", "x.parquet"])
    write_record(tmp_path / "info.json", {**place(tmp_path), "files": files})
    with pytest.raises(DataError, match="no column"):
        EncodedSplit.load(tmp_path / "e.parquet", "question_answering", TrainingOptions())
    with pytest.raises(DataError, match="not a readable Parquet"):
        EncodedSplit.load(tmp_path / "x.parquet", "question_answering", TrainingOptions())
