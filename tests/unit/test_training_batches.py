"""Batches: what a padded batch holds, in which order features come, and that evaluation does not depend on either."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ligero.settings.tasks import TaskType
from ligero.settings.training import TrainingOptions
from ligero.training import evaluate
from ligero.training.batches import (
    epoch_batches,
    evaluation_steps,
    length_sorted_batches,
    periodic_evaluation_steps,
    steps_per_epoch,
)
from ligero.training.evaluate import predict, validation_loss
from ligero.training.objective import GoldObjective
from ligero.training.steps import step_seed
from tests.builders.distillation import toy_model, toy_split

TASKS: tuple[TaskType, ...] = ("sequence_classification", "token_classification", "question_answering")
LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=300).map(np.array)


@given(LENGTHS, st.integers(1, 20), st.integers(0, 3), st.booleans(), st.booleans())
def test_an_epoch_sees_every_feature_once(
    lengths: np.ndarray, size: int, epoch: int, shuffle: bool, bucket: bool
) -> None:
    options = TrainingOptions(shuffle=shuffle, bucket_by_length=bucket)
    batches = epoch_batches(lengths, size, epoch, options)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert len(batches) == steps_per_epoch(len(lengths), size)
    assert all(len(batch) == size for batch in batches[:-1])
    again = epoch_batches(lengths, size, epoch, options)
    assert all(np.array_equal(one, other) for one, other in zip(batches, again, strict=True))


def test_without_shuffling_every_epoch_has_the_order_of_the_file() -> None:
    options = TrainingOptions(shuffle=False, bucket_by_length=False)
    for epoch in range(2):
        batches = epoch_batches(np.ones(10), 4, epoch, options)
        assert [batch.tolist() for batch in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    shuffled = TrainingOptions(bucket_by_length=False)
    first, second = (np.concatenate(epoch_batches(np.ones(50), 4, epoch, shuffled)) for epoch in range(2))
    assert first.tolist() != second.tolist()


def test_buckets_waste_little_padding() -> None:
    lengths = np.random.default_rng(0).integers(1, 500, 2000)
    padded = {
        bucket: sum(
            int(lengths[batch].max()) * len(batch)
            for batch in epoch_batches(lengths, 16, 0, TrainingOptions(bucket_by_length=bucket))
        )
        for bucket in (True, False)
    }
    assert padded[True] < 1.1 * lengths.sum() < padded[False]


@given(LENGTHS, st.integers(1, 64), st.integers(1, 200))
def test_inference_batches_respect_their_limits(lengths: np.ndarray, features: int, tokens: int) -> None:
    batches = length_sorted_batches(lengths, features, tokens)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) <= features
        assert len(batch) == 1 or len(batch) * lengths[batch].max() <= tokens


def test_evaluations_are_spread_and_end_the_epoch() -> None:
    assert evaluation_steps(10, 1) == {10}
    assert evaluation_steps(10, 4) == {2, 5, 8, 10}
    assert evaluation_steps(2, 5) == {1, 2}


@given(st.integers(1, 40), st.integers(1, 6), st.integers(1, 300))
def test_periodic_evaluations_fall_on_the_multiples_of_the_runs_steps(
    steps: int, epochs: int, every: int
) -> None:
    found = [
        steps * epoch + number
        for epoch in range(epochs)
        for number in sorted(periodic_evaluation_steps(steps, every, epoch, epochs))
    ]
    total = steps * epochs
    assert found == ([step for step in range(1, total + 1) if step % every == 0] or [total])


@pytest.mark.parametrize("task_type", TASKS)
def test_a_batch_holds_its_features_and_padding(task_type: TaskType) -> None:
    split = toy_split(task_type, 2, max_length=16)
    rows = np.array([3, 0, 7])
    batch = split.batch(rows, pad_id=63)
    for place, row in enumerate(rows):
        low, high = split.offsets[row], split.offsets[row + 1]
        length = high - low
        assert batch.input_ids[place, :length].tolist() == split.input_ids[low:high].tolist()
        assert (batch.input_ids[place, length:] == 63).all()
        assert batch.attention_mask[place].sum() == length
        if task_type == "token_classification":
            assert batch.targets["labels"][place, :length].tolist() == split.labels[low:high].tolist()
            assert (batch.targets["labels"][place, length:] == -100).all()


@pytest.mark.parametrize("task_type", TASKS)
def test_predictions_do_not_depend_on_batching_and_their_loss_is_the_objective(task_type: TaskType) -> None:
    split = toy_split(task_type, 2, max_length=16)
    model = toy_model(task_type).eval()
    bucketed, single = predict(model, split), predict(model, split, max_features=1)
    for name in ("logits", "start", "end"):
        np.testing.assert_allclose(getattr(bucketed, name), getattr(single, name), atol=1e-5)
    with torch.inference_mode():
        batch = split.batch(np.arange(len(split)), pad_id=0)
        loss = GoldObjective(task_type)(model(**batch.inputs(model)), batch)
    assert validation_loss(bucketed, split) == pytest.approx(float(loss), abs=1e-5)
    assert GoldObjective(task_type).weight(batch) > 0


@pytest.mark.parametrize("training", [True, False])
def test_predictions_are_without_dropout_and_leave_the_model_as_it_was(training: bool) -> None:
    split, model = toy_split("sequence_classification", 2), toy_model("sequence_classification")
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.5
    found = [predict(model.train(training), split).logits for _ in range(2)]
    np.testing.assert_array_equal(*found)
    assert {module.training for module in model.modules()} == {training}


def test_predictions_are_computed_in_the_precision_that_is_asked_for() -> None:
    split, model = toy_split("sequence_classification", 2), toy_model("sequence_classification").eval()
    exact, coarse = predict(model, split).logits, predict(model, split, precision="bf16").logits
    assert 1e-4 < np.abs(coarse - exact).max() < 0.1 * np.abs(exact).max()


@pytest.mark.parametrize(
    ("error", "asked", "known"),
    [(MemoryError(), [8, 4, 2, 1], []), (MemoryError(), [2, 1], [4, 2]), (RuntimeError("no"), [8], [])],
)
def test_batches_are_halved_down_to_one_where_memory_runs_out_and_for_no_other_error(
    monkeypatch: pytest.MonkeyPatch, error: Exception, asked: list[int], known: list[int]
) -> None:
    """Calls that share the list of halvings run out of memory once."""
    largest: list[int] = []

    def fails(*arguments: Any) -> None:
        largest.append(max(map(len, arguments[-1])))
        raise error

    monkeypatch.setattr(evaluate, "_predict", fails)
    halvings = [{"from": known[0], "to": known[1]}] if known else []
    with pytest.raises(type(error)):
        predict(
            toy_model("sequence_classification"),
            toy_split("sequence_classification", 2),
            max_features=8,
            halvings=halvings,
        )
    assert largest == asked
    assert [halving["to"] for halving in halvings] == [*known[1:], *asked[1:]]


def test_seeds_of_steps_differ() -> None:
    assert len({step_seed(seed, step) for seed in range(50) for step in range(50)}) == 2500
