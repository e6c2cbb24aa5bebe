"""Which teacher token a student token learns from: tagging by word, answers by token, first subword or boundary."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ligero.common.errors import MismatchError
from ligero.distillation.alignment import Pairs, align
from ligero.distillation.token_layout import TokenLayout, layout_of, ragged_indices
from tests.builders.distillation import toy_split


def entries(pairs: Pairs, layout: TokenLayout) -> np.ndarray:
    """Index into the student's layout of every pair."""
    feature = np.repeat(np.arange(len(layout)), np.diff(pairs.offsets))
    flat = {
        (int(f), int(p)): i for i, (f, p) in enumerate(zip(layout.features, layout.positions, strict=True))
    }
    return np.array([flat[int(f), int(p)] for f, p in zip(feature, pairs.positions, strict=True)])


def test_classification_goes_by_example_in_any_order() -> None:
    student = layout_of(toy_split("sequence_classification", 2))
    teacher = replace(student, examples=student.examples[::-1].copy())
    (pairs,) = align(student, teacher, "sequence_classification", False).pairs
    assert (teacher.examples[pairs.sources] == student.examples).all()


def test_an_example_without_logits_is_refused() -> None:
    student, teacher = (layout_of(toy_split("sequence_classification", 2, count)) for count in (24, 20))
    with pytest.raises(MismatchError, match=r"no logits for 4 .* first is row 20"):
        align(student, teacher, "sequence_classification", False)


def test_tagging_pairs_equal_words_of_equal_examples() -> None:
    student, teacher = (
        layout_of(toy_split("token_classification", 2)),
        layout_of(toy_split("token_classification", 3)),
    )
    alignment = align(student, teacher, "token_classification", False)
    (pairs,) = alignment.pairs
    ours = entries(pairs, student)
    assert (student.words[ours] == teacher.words[pairs.sources]).all()
    assert (
        student.examples[student.features[ours]] == teacher.examples[teacher.features[pairs.sources]]
    ).all()
    assert alignment.counts == {
        "matched": student.entries,
        "student_words_without_teacher": 0,
        "teacher_words_without_student": 0,
    }


def test_words_cut_away_on_either_side_are_masked_and_counted() -> None:
    student = layout_of(toy_split("token_classification", 2, max_length=64))
    teacher = layout_of(toy_split("token_classification", 3, max_length=8))
    counts = align(student, teacher, "token_classification", False).counts
    assert counts["student_words_without_teacher"] == student.entries - teacher.entries > 0
    assert counts["matched"] == teacher.entries
    counts = align(teacher, student, "token_classification", False).counts
    assert counts["teacher_words_without_student"] == student.entries - teacher.entries


def test_one_vocabulary_pairs_answers_token_by_token() -> None:
    layout = layout_of(toy_split("question_answering", 2, max_length=16))
    alignment = align(layout, layout, "question_answering", True)
    assert alignment.mode == "token" and alignment.known is None
    assert all((pairs.sources == np.arange(layout.entries)).all() for pairs in alignment.pairs)
    other = layout_of(toy_split("question_answering", 2, max_length=20))
    with pytest.raises(MismatchError, match="other windows"):
        align(layout, other, "question_answering", True)


@pytest.mark.parametrize("lengths", [(64, 64), (18, 64), (64, 18), (18, 14)])
@pytest.mark.parametrize("mode", ["first_subword", "boundary"])
def test_answers_pair_equal_characters_of_one_window(mode: str, lengths: tuple[int, int]) -> None:
    student = layout_of(toy_split("question_answering", 2, max_length=lengths[0]))
    teacher = layout_of(toy_split("question_answering", 3, max_length=lengths[1]))
    alignment = align(student, teacher, "question_answering", False, mode)
    for number, pairs in enumerate(alignment.pairs):
        ours = entries(pairs, student)
        same_example = (
            student.examples[student.features[ours]] == teacher.examples[teacher.features[pairs.sources]]
        )
        assert same_example.all()
        column = "ends" if number and mode == "boundary" else "starts"
        assert (getattr(student, column)[ours] == getattr(teacher, column)[pairs.sources]).all()
        # [CLS], which says "no answer here", always has its counterpart.
        assert (
            np.bincount(student.features[ours][student.starts[ours] < 0], minlength=len(student)) == 1
        ).all()
        windows = teacher.features[pairs.sources]
        for feature in range(len(student)):
            assert len(set(windows[pairs.offsets[feature] : pairs.offsets[feature + 1]])) == 1
    if lengths == (64, 64):
        words = len(
            {
                (int(e), int(w))
                for e, w in zip(student.examples[student.features], student.words, strict=True)
                if w >= 0
            }
        )
        if mode == "first_subword":
            assert alignment.counts["matched"] == words + len(student)
        assert alignment.counts["student_tokens_outside_teacher_window"] == 0


def test_of_bytes_of_one_character_the_first_begins_an_answer_and_the_last_ends_it() -> None:
    """[CLS], the letter ñ in two bytes, o; the teacher has another token in front."""

    def layout(first: int) -> TokenLayout:
        positions = np.array([0, first, first + 1, first + 2], np.int32)
        words = np.array([-1, 0, 0, 0], np.int32)
        starts, ends = np.array([-1, 0, 0, 1], np.int32), np.array([-1, 1, 1, 2], np.int32)
        return TokenLayout(np.array([0], np.int32), np.array([0, 4]), positions, words, starts, ends)

    begins, finishes = align(layout(3), layout(5), "question_answering", False, "boundary").pairs
    assert (begins.positions.tolist(), begins.sources.tolist()) == ([0, 3, 5], [0, 1, 3])
    assert (finishes.positions.tolist(), finishes.sources.tolist()) == ([0, 4, 5], [0, 2, 3])


def test_the_window_that_shares_most_characters_is_chosen() -> None:
    student = layout_of(toy_split("question_answering", 2, 12, max_length=18))
    teacher = layout_of(toy_split("question_answering", 3, 12, max_length=12))
    alignment = align(student, teacher, "question_answering", False)
    pairs = alignment.pairs[0]

    def span(layout: TokenLayout, feature: int) -> set[int]:
        inner = slice(layout.offsets[feature] + 1, layout.offsets[feature + 1])
        return set(range(layout.starts[inner].min(), layout.ends[inner].max()))

    for feature in range(len(student)):
        chosen = int(teacher.features[pairs.sources[pairs.offsets[feature]]])
        shared = {
            other: len(span(student, feature) & span(teacher, other))
            for other in np.flatnonzero(teacher.examples == student.examples[feature])
        }
        assert shared[chosen] == max(shared.values())
    assert alignment.counts["student_tokens_outside_teacher_window"] > 0


def test_a_window_that_begins_inside_a_word_has_no_first_subword_there() -> None:
    student = layout_of(toy_split("question_answering", 2, 40, max_length=14))
    alignment = align(student, student, "question_answering", False, "first_subword")
    ours = entries(alignment.pairs[0], student)
    context = ours[student.starts[ours] >= 0]
    begins: dict[tuple[int, int], int] = {}
    for example, word, start in zip(
        student.examples[student.features], student.words, student.starts, strict=True
    ):
        if word >= 0:
            key = (int(example), int(word))
            begins[key] = min(begins.get(key, start), start)
    cut = 0
    for entry in context:
        assert (
            student.starts[entry]
            == begins[int(student.examples[student.features[entry]]), int(student.words[entry])]
        )
    for feature in range(len(student)):
        first = student.offsets[feature] + 1
        cut += student.starts[first] > begins[int(student.examples[feature]), int(student.words[first])]
    assert cut > 0


def answering(*windows: list[tuple[int, int, int]]) -> TokenLayout:
    """Windows of one example: word, start and end of each context token; the context begins at position 2."""
    entries = [[(-1, -1, -1), *window] for window in windows]
    words, starts, ends = np.array([token for window in entries for token in window], np.int32).T
    counts = [len(window) for window in entries]
    positions = np.concatenate([[0, *range(2, count + 1)] for count in counts]).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    return TokenLayout(np.zeros(len(windows), np.int32), offsets, positions, words, starts, ends)


@pytest.mark.parametrize(
    ("mode", "teacher"),
    [
        ("first_subword", [[(0, 0, 2), (1, 3, 5)]]),  # the window ends inside `bbbb`
        ("boundary", [[(0, 0, 2), (1, 3, 5)]]),  # ... and its first piece begins where `bbbb` begins
        ("boundary", [[(0, 0, 1)], [(1, 5, 7), (2, 8, 10), (2, 10, 13)]]),  # a window begins inside `bbbb`
    ],
)
def test_a_token_that_the_teachers_window_cuts_has_no_target(mode: str, teacher: list[Any]) -> None:
    student = answering([(0, 0, 2), (1, 3, 7), (2, 8, 10)])
    alignment = align(student, answering(*teacher), "question_answering", False, mode)
    assert alignment.known is not None and not alignment.known[0, 0] <= 3 < alignment.known[0, 1]
    for pairs in alignment.pairs:
        assert 0 in pairs.positions and 3 not in pairs.positions
        assert pairs.offsets.tolist() == [0, len(pairs.positions)]
    with pytest.raises(MismatchError, match="1 targets are on tokens outside"):
        outside = Pairs(np.array([0, 2]), np.array([0, 3], np.int32), np.array([0, 1]))
        replace(alignment, pairs=(outside, outside))


def test_ragged_indices_follow_the_rows() -> None:
    flat, items = ragged_indices(np.array([0, 2, 2, 5]), np.array([2, 1, 0]))
    assert flat.tolist() == [2, 3, 4, 0, 1] and items.tolist() == [0, 0, 0, 2, 2]
