"""Arithmetic of the tables, outliers, MAC counts and the latency protocol."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ligero.common.errors import ConfigurationError, DataError
from ligero.efficiency.outliers import modified_z_scores, without_outliers
from ligero.efficiency.systems import check_length, vocabulary_sizes, with_vocabulary
from ligero.efficiency.truncation import (
    exact_speedup,
    short_count,
    thesis_arithmetic_applies,
    thesis_speedup,
    truncate,
    truncated_gmacs,
)
from ligero.settings.efficiency import Efficiency, Speed
from ligero.settings.jobs import EfficiencyJob, MeasuredSystem, SpeedJob
from ligero.settings.models import Architecture
from ligero.tokenizers.fast_tokenizer import TokenizerInfo

SMALL = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 40}
TYPES = ("albert", "bert", "roberta", "distilbert")


def shape(kind: str = "albert", layers: int = 2, vocabulary: int | None = 50) -> Architecture:
    return Architecture.model_validate(
        {
            **SMALL,
            "type": kind,
            "num_hidden_layers": layers,
            "vocab_size": vocabulary,
            "type_vocab_size": 1 if kind == "roberta" else 2,
            **({"embedding_size": 8} if kind == "albert" else {}),
        }
    )


def system(model: str = "a", **given_shape: object) -> MeasuredSystem:
    return MeasuredSystem(
        regime="fine-tuning",
        model_id=model,
        name=model.upper(),
        tokenizer="v",
        architecture=shape(**given_shape),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (84.829, "84.82"),
        (84.85, "84.85"),
        (84.84999999999999, "84.85"),
        (100.0, "100.00"),
        (-1.239, "-1.23"),
        (-0.004, "0.00"),
        (7, "7.00"),
    ],
)
def test_figures_are_truncated_without_binary_noise(value: float, expected: str) -> None:
    assert str(truncate(value)) == expected


@given(st.integers(0, 10_000))
def test_a_printed_figure_survives_being_read_and_printed_again(hundredths: int) -> None:
    assert truncate(hundredths / 100) == Decimal(hundredths) / 100


@given(st.integers(0, 2000), st.integers(1, 2000))
def test_an_accuracy_is_truncated_as_exact_arithmetic_says(right: int, total: int) -> None:
    exact = Decimal(right * 10_000 // total) / 100
    # Where the fourth and later decimals are all nines up to 1e-9 the value is noise, and no accuracy below 2000 examples is.
    assert truncate(100 * right / total) == exact


def test_speedup_by_both_arithmetics() -> None:
    beto, tiny = 43_526_457_600, 2_418_245_608
    assert (str(truncated_gmacs(beto)), str(truncated_gmacs(tiny))) == ("43.52", "2.41")
    assert str(thesis_speedup(tiny, beto)) == "18.05"
    assert exact_speedup(tiny, beto) == pytest.approx(17.9992, abs=1e-4)
    assert thesis_speedup(9_000_000, beto) is None
    assert thesis_arithmetic_applies([beto, tiny])
    assert not thesis_arithmetic_applies([beto, 999_999_999])


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (109_853_187, "110M"),
        (5_345_075, "5M"),
        (999_500, "1M"),
        (999_499, "999K"),
        (146_435, "146K"),
        (31_002, "31K"),
    ],
)
def test_parameter_counts_as_the_thesis_prints_them(count: int, expected: str) -> None:
    assert short_count(count) == expected


def test_modified_z_scores_of_a_worked_example() -> None:
    # Median 3, absolute deviations 2 1 0 1 97, their median 1.
    assert modified_z_scores([1, 2, 3, 4, 100]) == pytest.approx([-1.349, -0.6745, 0.0, 0.6745, 65.4265])
    assert without_outliers([1, 2, 3, 4, 100], 3.5) == [1, 2, 3, 4]
    assert without_outliers([1, 97, 98, 99, 100], 3.5) == [97, 98, 99, 100]


def test_where_most_runs_take_the_same_time_the_mean_deviation_scales() -> None:
    values = [5.0] * 9 + [50.0]
    assert modified_z_scores([5.0] * 4) == [0.0] * 4
    assert without_outliers(values, 3.5) == [5.0] * 9


@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=50), st.floats(0.1, 10))
def test_the_median_run_is_never_an_outlier(values: list[float], threshold: float) -> None:
    kept = without_outliers([*values, *values, sorted(values)[len(values) // 2]], threshold)
    assert kept


@pytest.mark.parametrize("kind", TYPES)
def test_macs_follow_from_the_shape_and_grow_by_equal_steps_with_depth(kind: str) -> None:
    from ligero.efficiency.macs import cost_of

    length, labels = 12, 3
    counts = [cost_of(shape(kind, layers), labels, length)["macs"] for layers in (1, 2, 3)]
    hidden, wide = SMALL["hidden_size"], SMALL["intermediate_size"]
    # Four projections of attention and two of the feed-forward net; two norms at four operations an element.
    layer = length * (4 * hidden**2 + 2 * hidden * wide) + 2 * 4 * length * hidden
    assert counts[1] - counts[0] == counts[2] - counts[1] == layer
    pooled = (
        0 if kind == "roberta" else hidden**2
    )  # RoBERTa's head has a dense layer of the same size instead
    head = hidden * labels + (hidden**2 if kind == "roberta" else pooled)
    embedded = 8 if kind == "albert" else hidden
    projection = length * 8 * hidden if kind == "albert" else 0
    assert counts[0] == layer + 4 * length * embedded + projection + head


def test_attention_takes_two_products_in_each_layer() -> None:
    """Scores and mixing, each of length x length x hidden size: 2 * 3 layers * 10^2 * 16."""
    from ligero.models.formulas import attention_macs

    assert attention_macs(shape(layers=3), 10) == 9600


def test_the_meta_device_counts_as_a_model_with_weights() -> None:
    from ligero.efficiency.classifier import build_classifier
    from ligero.efficiency.macs import cost_of, count_macs

    for kind in TYPES:
        assert count_macs(build_classifier(shape(kind), 3), 12) == cost_of(shape(kind), 3, 12)["macs"]


@pytest.mark.parametrize("kind", TYPES)
def test_bytes_are_those_of_the_written_file(kind: str, tmp_path: Path) -> None:
    from ligero.efficiency.classifier import build_classifier
    from ligero.efficiency.macs import cost_of

    model = build_classifier(shape(kind), 3)
    model.save_pretrained(tmp_path)  # type: ignore[operator]
    cost = cost_of(shape(kind), 3, 12)
    assert cost["bytes"] == (tmp_path / "model.safetensors").stat().st_size
    assert cost["parameters"] == sum(parameter.numel() for parameter in model.parameters())


def test_measuring_counts_each_architecture_once_and_gives_a_row_for_each_system(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ligero.efficiency import macs

    counted: list[Architecture] = []
    original = macs.cost_of
    monkeypatch.setattr(macs, "cost_of", lambda *given: counted.append(given[0]) or original(*given))
    systems = (system("a"), system("b"), system("c", layers=4, vocabulary=None))
    job = EfficiencyJob(systems=systems, conditions=Efficiency(sequence_length=12, reference="a"))
    measured = macs.measure(job, {"v": 50})
    assert len(counted) == 2
    rows = measured["rows"]
    assert [row["model"] for row in rows] == ["a", "b", "c"]
    assert rows[0]["speedup"] == rows[1]["speedup"] == 1.0 > rows[2]["speedup"]
    assert rows[0]["parameters"] == rows[2]["parameters"]  # ALBERT shares its layers
    assert measured["conditions"]["reference"] == "a"


def test_speedups_are_over_the_reference_that_is_named() -> None:
    from ligero.efficiency.macs import cost_of, measure

    conditions = Efficiency(sequence_length=12, reference="b", labels=7)
    deep, flat = measure(EfficiencyJob(systems=(system("a", layers=4), system("b")), conditions=conditions), {})["rows"]  # fmt: skip
    assert flat["speedup"] == 1.0 and deep["speedup"] == flat["macs"] / deep["macs"] < 1.0
    assert flat["macs"] == cost_of(shape(), 7, 12)["macs"]


def test_a_reference_that_is_left_out_is_refused() -> None:
    from ligero.efficiency.macs import measure

    job = EfficiencyJob(systems=(system("a"),), conditions=Efficiency(sequence_length=12, reference="gone"))
    with pytest.raises(ConfigurationError, match=r"efficiency\.reference: 'gone' is left out"):
        measure(job, {})


def test_vocabulary_sizes_are_read_from_the_encoders(tmp_path: Path) -> None:
    TokenizerInfo("wordpiece", True, 123, {}, True, 0).write(tmp_path)
    sizes = vocabulary_sizes({"v": tmp_path})
    assert with_vocabulary(system(vocabulary=None), sizes).vocab_size == 123
    assert with_vocabulary(system(vocabulary=50), sizes).vocab_size == 50
    with pytest.raises(ConfigurationError, match=r"models\.a\.architecture\.vocab_size.*'v'"):
        with_vocabulary(system(vocabulary=None), {})
    info = tmp_path / "tokenizer_info.json"
    info.write_text(info.read_text().replace("123", "124"))
    with pytest.raises(DataError, match=r"tokenizer_info\.json: it was changed.*Make the tokenizer again"):
        vocabulary_sizes({"v": tmp_path})


def test_a_length_beyond_a_models_positions_is_refused() -> None:
    check_length([system()], 40, "efficiency.sequence_length")
    with pytest.raises(
        ConfigurationError, match=r"speed\.sequence_length: 39 tokens are more than the 38 positions"
    ):
        check_length([system(kind="roberta")], 39, "speed.sequence_length")


def test_models_are_timed_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from ligero.efficiency import speed

    order: list[str] = []
    monkeypatch.setattr(speed, "timed_pass", lambda model, ids: order.append(model) or float(len(order)))
    ids = torch.zeros((1, 2), dtype=torch.long)
    protocol = Speed(warmup_runs=1, timed_runs=2)
    seconds = speed.time_in_turn([("A", ids), ("B", ids)], protocol, "test")  # type: ignore[list-item]
    assert order == ["A", "B"] * 3
    assert seconds == [[3.0, 5.0], [4.0, 6.0]]  # the first round warms up


def test_a_gpu_is_waited_for_before_each_reading_of_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from ligero.efficiency import speed

    class OnGpu:
        is_cuda = True

    order: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: order.append("wait"))
    monkeypatch.setattr(speed.time, "perf_counter", lambda: order.append("clock") or 0.0)
    speed.timed_pass(lambda ids: order.append("pass"), OnGpu())  # type: ignore[arg-type]
    assert order == ["wait", "clock", "pass", "wait", "clock"]


def test_latency_is_the_median_of_the_runs_that_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    from ligero.efficiency import speed

    lengths: list[int] = []

    def timed(models: list[tuple[object, Any]], *_: object) -> list[list[float]]:
        lengths.extend(ids.shape[1] for _, ids in models)
        return [[2.0, 1.0, 2.5, 4.0, 90.0]]

    monkeypatch.setattr(speed, "time_in_turn", timed)
    found = []
    for threshold in (3.5, 1e9):
        protocol = Speed(sequence_length=8, outlier_z=threshold)
        (row,) = speed.measure(SpeedJob(systems=(system(),), conditions=protocol), {})["rows"]
        found.append(row["cpu"])
    kept, whole = found
    assert (kept["median_seconds"], kept["mean_seconds"], kept["fastest_seconds"]) == (2.25, 2.375, 1.0)
    assert (kept["kept_runs"], whole["kept_runs"], whole["median_seconds"]) == (4, 5, 2.5)
    assert lengths[0] == 8


def test_latency_of_every_system_with_its_conditions() -> None:
    from ligero.efficiency import speed

    protocol = Speed(sequence_length=8, warmup_runs=1, timed_runs=3)
    measured = speed.measure(SpeedJob(systems=(system("a"), system("b")), conditions=protocol), {})
    first, second = measured["rows"]
    assert first["cpu"] == second["cpu"]
    assert first["architecture_timed_once_for"] == 2
    timed = first["cpu"]
    assert timed["inferences_per_second"] == pytest.approx(1 / timed["median_seconds"])
    assert 1 <= timed["kept_runs"] <= timed["runs"] == 3
    assert measured["conditions"]["warmup_runs"] == 1
    assert measured["conditions"]["cpu"]


def test_pretraining_needs_the_last_layer_where_it_is_read() -> None:
    """Keys and values of all tokens, the rest of the last layer and the head at predicted tokens and [CLS]; a teacher's states are everywhere."""
    from ligero.models.formulas import pretraining_macs
    from ligero.settings.pretraining import Pretraining, StateTeacher

    tiny = shape("bert", 2).model_copy(
        update={"hidden_size": 10, "intermediate_size": 30, "vocab_size": 1000}
    )
    words = Pretraining(total_steps=1, sequence_length=100, masked_share=0.2)
    # A layer: 4 * 10 * 10 + 2 * 10 * 30 = 1000 and attention 2 * 100 * 10 = 2000; of the last one 200 and 21 % of the others.
    assert pretraining_macs(tiny, words) == pytest.approx(3000 + 200 + 0.21 * 2800 + 0.2 * 10 * 1010)
    lesson = StateTeacher(model="t", dimensions=8)
    states = words.model_copy(update={"objective": "distil", "teacher": lesson})
    assert pretraining_macs(tiny, states) == pytest.approx(6000 + 80)
