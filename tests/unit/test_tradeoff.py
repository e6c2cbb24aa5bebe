"""The trade-off of cost and score: the thesis' published table to the digit, and the properties that make a metric fair."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ligero.common.errors import MismatchError
from ligero.efficiency.pareto import (
    ReferenceFront,
    cheapest_retaining,
    hypervolume,
    hypervolume_contributions,
    non_dominated,
)
from ligero.reporting.published import read_table
from ligero.tasks.bootstrap import interval, resampled

PUBLISHED = read_table("summary")
NAMES = [(row["regime"], row["model"]) for row in PUBLISHED]
COSTS = np.array([1 / float(row["speedup"].rstrip("x")) for row in PUBLISHED])
SCORES = np.array([float(row["score"]) for row in PUBLISHED])
FINE_TUNED = [number for number, (regime, _) in enumerate(NAMES) if regime == "fine-tuning"]


def named(members: tuple[int, ...] | list[int]) -> list[str]:
    return [NAMES[number][1] for number in members]


# --- the published table ----------------------------------------------------------------------------------------------


def test_published_reference_front() -> None:
    front = ReferenceFront.of(COSTS, SCORES, FINE_TUNED)
    assert named(front.members) == ["ALBETO tiny", "DistilBETO", "RoBERTa BNE base", "ALBETO xxlarge"]


def test_published_gains_of_the_students_at_equal_cost() -> None:
    gains = ReferenceFront.of(COSTS, SCORES, FINE_TUNED).gains(COSTS, SCORES)
    students = {model: gains[n] for n, (regime, model) in enumerate(NAMES) if regime == "distillation"}
    assert {model: round(float(gain), 2) for model, gain in students.items()} == {
        "ALBETO tiny": 1.52,
        "ALBETO base-2": -2.88,
        "ALBETO base-4": 3.65,
        "ALBETO base-6": 5.91,
        "ALBETO base-8": 3.61,
        "ALBETO base-10": 1.52,
    }
    assert float(np.mean(list(students.values()))) == pytest.approx(2.2232, abs=5e-5)


def test_published_base_2_lies_below_albeto_tiny() -> None:
    kept = non_dominated(COSTS, SCORES)
    assert not kept[NAMES.index(("distillation", "ALBETO base-2"))]
    assert named([n for n in range(len(NAMES)) if kept[n]]) == [
        "ALBETO xxlarge",
        "RoBERTa BNE base",
        "ALBETO tiny",
        "ALBETO base-4",
        "ALBETO base-6",
        "ALBETO base-8",
        "ALBETO base-10",
    ]


def test_published_hypervolumes() -> None:
    """Reference: 64 times BETO's cost and 50 %; the box up to a 64th of it and 100 % has 12 doublings of 50 points."""
    box = 12 * 50
    assert hypervolume(COSTS[FINE_TUNED], SCORES[FINE_TUNED], 64, 50) / box == pytest.approx(0.5255, abs=5e-5)
    assert hypervolume(COSTS, SCORES, 64, 50) / box == pytest.approx(0.5481, abs=5e-5)
    added = hypervolume_contributions(COSTS, SCORES, 64, 50)
    assert {NAMES[n]: round(float(added[n]), 2) for n in range(len(NAMES)) if added[n] > 0} == {
        ("fine-tuning", "ALBETO xxlarge"): 0.32,
        ("fine-tuning", "RoBERTa BNE base"): 0.05,
        ("distillation", "ALBETO tiny"): 3.94,
        ("distillation", "ALBETO base-4"): 2.10,
        ("distillation", "ALBETO base-6"): 1.10,
        ("distillation", "ALBETO base-8"): 0.35,
        ("distillation", "ALBETO base-10"): 0.14,
    }


@pytest.mark.parametrize(
    ("share", "cheapest"), [(0.99, "ALBETO base-10"), (0.98, "ALBETO base-8"), (0.95, "ALBETO base-6")]
)
def test_published_cheapest_student_that_keeps_a_share_of_xxlarge(share: float, cheapest: str) -> None:
    best = cheapest_retaining(COSTS, SCORES, 85.17, share)
    assert best is not None
    assert NAMES[best] == ("distillation", cheapest)


# --- small cases by hand ----------------------------------------------------------------------------------------------


def test_gain_is_linear_in_the_logarithm_of_cost_and_undefined_outside() -> None:
    costs, scores = np.array([1.0, 4.0, 2.0, 0.5, 8.0]), np.array([60.0, 80.0, 75.0, 70.0, 90.0])
    gains = ReferenceFront.of(costs, scores, [0, 1]).gains(costs, scores)
    assert gains.tolist()[:3] == [0.0, 0.0, pytest.approx(5.0)]
    assert np.isnan(gains[3:]).all()


def test_hypervolume_by_hand() -> None:
    """70 % at 1 and 90 % at 2 against 50 % at 8: one doubling of 20 points, then two of 40."""
    costs, scores = np.array([2.0, 1.0]), np.array([90.0, 70.0])
    assert hypervolume(costs, scores, 8.0, 50.0) == pytest.approx(100.0)
    assert hypervolume_contributions(costs, scores, 8.0, 50.0) == pytest.approx([40.0, 20.0])


def test_systems_that_do_not_beat_the_reference_add_nothing() -> None:
    assert hypervolume(np.array([16.0, 1.0]), np.array([99.0, 40.0]), 8.0, 50.0) == 0.0


def test_nobody_keeps_the_teacher() -> None:
    assert cheapest_retaining(np.array([1.0]), np.array([50.0]), 80.0, 0.95) is None


def test_who_keeps_a_share_exactly_keeps_it() -> None:
    assert cheapest_retaining(np.array([1.0, 2.0]), np.array([95.0, 100.0]), 100.0, 0.95) == 0


def test_of_equally_cheap_systems_the_better_one_is_the_cheapest() -> None:
    assert cheapest_retaining(np.array([1.0, 1.0]), np.array([96.0, 98.0]), 100.0, 0.95) == 1


def test_equal_systems_are_both_on_the_front_and_one_is_its_member() -> None:
    costs, scores = np.array([1.0, 1.0]), np.array([70.0, 70.0])
    assert non_dominated(costs, scores).tolist() == [True, True]
    assert ReferenceFront.of(costs, scores, [0, 1]).members == (0,)


def test_costs_without_a_logarithm_are_refused() -> None:
    with pytest.raises(MismatchError, match="above 0"):
        non_dominated(np.array([0.0, 1.0]), np.array([50.0, 60.0]))


# --- properties -------------------------------------------------------------------------------------------------------

costs_and_scores = st.lists(
    st.tuples(st.integers(1, 1000).map(float), st.integers(0, 400).map(lambda quarter: quarter / 4)),
    min_size=2,
    max_size=8,
)


def arrays(systems: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([cost for cost, _ in systems]), np.array([score for _, score in systems])


@given(
    costs_and_scores,
    st.tuples(st.floats(2.0, 1000.0), st.floats(0.0, 100.0)),
    st.tuples(st.sampled_from([1.0, 0.9, 0.5]), st.sampled_from([0.0, 0.25, 5.0])).filter((1.0, 0.0).__ne__),
)
def test_gain_is_pareto_compliant(
    reference: list[tuple[float, float]], worse: tuple[float, float], improved: tuple[float, float]
) -> None:
    """Whoever is as cheap and as good, and cheaper or better, gains more."""
    spanning = [*reference, (1.0, 0.0), (1000.0, 101.0)]
    better = (worse[0] * improved[0], worse[1] + improved[1])
    costs, scores = arrays([*spanning, worse, better])
    gains = ReferenceFront.of(costs, scores, range(len(spanning))).gains(costs, scores)
    assert gains[-1] > gains[-2]


@given(costs_and_scores)
def test_hypervolume_is_pareto_compliant(systems: list[tuple[float, float]]) -> None:
    """What is dominated, or has an equal, adds nothing; whatever else beats the reference adds something."""
    costs, scores = arrays(systems)
    added = hypervolume_contributions(costs, scores, 2000.0, 10.0)
    kept = non_dominated(costs, scores)
    for number, system in enumerate(systems):
        alone = systems.count(system) == 1
        assert (added[number] > 1e-9) == (kept[number] and alone and system[1] > 10.0)


@given(costs_and_scores, st.sampled_from([1e-6, 1e-3, 0.5, 1e3, 1e9]))
def test_no_figure_depends_on_the_unit_of_cost(systems: list[tuple[float, float]], factor: float) -> None:
    costs, scores = arrays(systems)
    half = range(len(systems) // 2)
    one = ReferenceFront.of(costs, scores, half)
    other = ReferenceFront.of(factor * costs, scores, half)
    assert one.members == other.members
    np.testing.assert_allclose(one.gains(costs, scores), other.gains(factor * costs, scores), atol=1e-9)
    np.testing.assert_allclose(
        hypervolume_contributions(costs, scores, 64.0, 20.0),
        hypervolume_contributions(factor * costs, scores, factor * 64.0, 20.0),
        atol=1e-9,
    )
    assert cheapest_retaining(costs, scores, 90.0, 0.97) == cheapest_retaining(
        factor * costs, scores, 90.0, 0.97
    )


@given(costs_and_scores, st.tuples(st.integers(1, 1000).map(float), st.floats(0.0, 100.0)))
def test_a_further_system_changes_no_other_gain_and_no_other_choice(
    systems: list[tuple[float, float]], newcomer: tuple[float, float]
) -> None:
    costs, scores = arrays(systems)
    more_costs, more_scores = arrays([*systems, newcomer])
    half = range(len(systems) // 2)
    before = ReferenceFront.of(costs, scores, half).gains(costs, scores)
    after = ReferenceFront.of(more_costs, more_scores, half).gains(more_costs, more_scores)
    np.testing.assert_array_equal(before, after[:-1])
    chosen = cheapest_retaining(more_costs, more_scores, 80.0, 0.95)
    if chosen != len(systems):
        assert chosen == cheapest_retaining(costs, scores, 80.0, 0.95)


@given(costs_and_scores, st.integers(1, 4))
def test_resamples_are_columns(systems: list[tuple[float, float]], samples: int) -> None:
    """Every figure of [systems, samples] is the figure of each column alone."""
    costs, scores = arrays(systems)
    columns = np.stack([np.roll(scores, shift) for shift in range(samples)], axis=1)
    front = ReferenceFront.of(costs, scores, [0, 1])
    for sample in range(samples):
        alone = columns[:, sample]
        np.testing.assert_array_equal(non_dominated(costs, columns)[:, sample], non_dominated(costs, alone))
        np.testing.assert_allclose(front.gains(costs, columns)[:, sample], front.gains(costs, alone))
        np.testing.assert_allclose(
            hypervolume_contributions(costs, columns, 2000.0, 10.0)[:, sample],
            hypervolume_contributions(costs, alone, 2000.0, 10.0),
            atol=1e-9,
        )


def test_resamples_are_paired() -> None:
    """Two systems that answer alike get equal scores in every resample, so that their difference has no spread."""
    right = np.random.default_rng(0).integers(0, 2, size=200).astype(float)
    units = np.stack([right, np.ones(200)], axis=1)
    scores = resampled([units, units], lambda sums: 100 * sums[..., 0] / sums[..., 1], samples=50)
    assert scores.shape == (2, 50)
    assert interval(scores[0] - scores[1]) == (0.0, 0.0)
    assert np.std(scores[0]) > 1
