"""Exported graphs: equal to the trained model in fp32, each weight stored once, int8 only where it scores as well."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn
from transformers.activations import ACT2FN

from ligero.common.errors import DataError, LigeroError, MismatchError
from ligero.common.records import DamagedError
from ligero.efficiency.processor import processor
from ligero.export import splits
from ligero.export.encoder import _ACTIVATIONS, Int8, activation_scale, build, build_observed, quantised
from ligero.export.parity import compare
from ligero.export.qat import fake_quantised, trained
from ligero.export.quantisation import _fewest, calibrated, observe, products
from ligero.export.rounding import compensated
from ligero.export.smoothing import smoothing
from ligero.export.splits import features_of, milliseconds, predict_split
from ligero.export.weights import Weights, outline_of
from ligero.models.architectures import FAMILIES
from ligero.models.digests import check_weights
from ligero.models.heads import load_selected
from ligero.serving.manifest import Manifest
from ligero.serving.predictor import GraphRunner, Predictor
from ligero.serving.readers import Feature
from ligero.settings.export import Export
from ligero.settings.models import Activation
from ligero.settings.tasks import TaskType
from ligero.tokenizers.fast_tokenizer import FastTokenizer
from ligero.training.evaluate import Predictions, predict
from ligero.training.features import EncodedSplit
from tests.builders.distillation import toy_split
from tests.builders.exports import Change, selected_model

TASK_TYPES: tuple[TaskType, ...] = ("sequence_classification", "token_classification", "question_answering")


def asked(row: dict[str, Any]) -> dict[str, Any]:
    """The item of an example, without its gold answer."""
    keys = ("text", "second_text", "words", "question", "context")
    return {key: row[key] for key in keys if row.get(key) is not None}


def plain(answer: dict[str, Any]) -> Any:
    """An answer in the form that the pipeline scores."""
    if "words" in answer:
        return [word["label"] or "O" for word in answer["words"]]
    return answer.get("label", answer.get("answer"))


@pytest.mark.parametrize("task_type", TASK_TYPES)
@pytest.mark.parametrize("architecture", sorted(FAMILIES))
def test_an_exported_model_answers_as_the_trained_one(
    architecture: str, task_type: TaskType, tmp_path: Path
) -> None:
    pairs = task_type == "sequence_classification" and architecture in ("albert", "roberta")
    selected = selected_model(tmp_path / "study", architecture, task_type, pairs=pairs)
    manifest = selected.export(tmp_path / "out")
    assert Manifest.read(tmp_path / "out") == manifest
    assert manifest.model_digest == check_weights(selected.model)
    assert 0 < manifest.parity["largest_difference"] <= 1e-4
    assert manifest.parity["unequal_decisions"] == 0
    predictor = Predictor(tmp_path / "out", precision="fp32", threads=1)
    answers = list(predictor.predict(asked(row) for row in selected.rows()))
    assert [plain(dict(answer)) for answer in answers] == selected.answers()
    assert any(answer["truncated"] or answer.get("windows", 1) > 1 for answer in answers)
    assert manifest.scores["fp32"]["score"] == 100.0
    predictor.check()


def test_the_folder_says_what_it_is(tmp_path: Path) -> None:
    selected = selected_model(tmp_path / "study", "albert", "sequence_classification")
    (selected.model / "README.md").write_text("card")
    options = selected.job.options.model_copy(update={"n_best": 5, "max_answer_length": 7})
    selected = replace(selected, job=selected.job.model_copy(update={"options": options}))
    written = selected.export(tmp_path / "out")
    manifest = Manifest.read(tmp_path / "out")
    assert (
        manifest == written or manifest.scores == written.scores
    )  # tuples come back as lists inside records
    assert manifest.labels == ("no", "sí", "quizá")
    assert (manifest.max_length, manifest.task_type) == (24, "sequence_classification")
    assert (manifest.n_best, manifest.max_answer_length) == (5, 7)
    assert set(manifest.files) == {"model.onnx", "model.int8.onnx", "tokenizer.json", "README.md"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*manifest.files, "manifest.json"}
    assert manifest.scores["int8"]["intervals"]["accuracy"][1] <= 100.0
    lengths = sorted(
        answer["tokens"] for answer in Predictor(tmp_path / "out").predict(map(asked, selected.rows()))
    )
    assert manifest.graphs["int8"].timed_tokens == lengths[len(lengths) // 2]
    (tmp_path / "out" / "tokenizer.json").write_text("{}")
    with pytest.raises(DataError, match=r"tokenizer.json: differs from its digest"):
        Predictor(tmp_path / "out")


@pytest.mark.parametrize("depth", [2, 24])
def test_albert_is_stored_once_whatever_its_depth(depth: int, tmp_path: Path) -> None:
    selected = selected_model(
        tmp_path,
        "albert",
        "token_classification",
        count=2,
        num_hidden_layers=depth,
        hidden_size=256,
        intermediate_size=1024,
    )
    weights = Weights(selected.model)
    graph = build(outline_of(selected.model, "token_classification"), weights).SerializeToString()
    assert len(graph) <= 1.1 * (selected.model / "model.safetensors").stat().st_size
    outline = outline_of(selected.model, "token_classification")
    int8 = build(outline, weights, Int8(None))
    assert len(int8.SerializeToString()) <= 0.35 * (selected.model / "model.safetensors").stat().st_size
    assert products(int8, outline) == {
        "int8": 6 * depth + 1,
        "fp32": 1,
    }  # and the embeddings' projection; the head is fp32
    some = build(outline, weights, Int8(None, frozenset({"0.hidden", "1.inner"})))
    assert products(some, outline) == {"int8": 6 * depth - 3, "fp32": 5}
    assert len(some.SerializeToString()) <= len(int8.SerializeToString())  # no copies in fp32


def test_products_of_a_classifiers_last_layer_that_no_int8_computes_are_counted(tmp_path: Path) -> None:
    selected = selected_model(tmp_path, "bert", "sequence_classification", count=2)
    outline, weights = outline_of(selected.model, "sequence_classification"), Weights(selected.model)
    counted = products(build(outline, weights, Int8(None)), outline)
    assert counted == {"int8": 10, "fp32": 4}  # key and value of the second layer, pooler and classifier
    matrices = [
        name for name in weights._arrays if name.endswith("weight") and weights[name].ndim == 2
    ]  # of which 3 are embeddings
    assert sum(counted.values()) == len(matrices) - 3


def test_int8_weights_cannot_saturate_sixteen_bits(tmp_path: Path) -> None:
    """Without VNNI a processor adds two products of an unsigned byte and a weight in 16 signed bits."""
    selected = selected_model(tmp_path, "bert", "sequence_classification", count=2)
    model = build(
        outline_of(selected.model, "sequence_classification"),
        Weights(selected.model),
        Int8(None),
    )
    matrices = [
        numpy_helper.to_array(tensor).astype(int)
        for tensor in model.graph.initializer
        if tensor.name.endswith(".int8") and "word_embeddings" not in tensor.name
    ]
    assert len(matrices) == 12
    assert max(np.abs(matrix).max() for matrix in matrices) == 63
    assert 2 * 255 * 63 < 2**15


def test_a_graph_that_computes_something_else_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    selected = selected_model(tmp_path / "study", "distilbert", "sequence_classification")
    original = Weights.__getitem__

    def changed(self: Weights, name: str) -> Any:
        array = original(self, name)
        return array + 0.01 if name.endswith("1.output_layer_norm.bias") else array

    monkeypatch.setattr(Weights, "__getitem__", changed)
    with pytest.raises(MismatchError, match="does not compute what the trained model does"):
        selected.export(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_logits_may_differ_by_rounding_and_no_more() -> None:
    split = toy_split("sequence_classification", 2, count=4)

    def logits_of(first: float) -> Predictions:
        return Predictions(np.tile([first, 1.0, 2.0], (4, 1)), start=np.zeros(0), end=np.zeros(0))

    found = compare(logits_of(0.0), logits_of(5e-5), split)
    assert (found["decisions"], found["unequal_decisions"]) == (4, 0)
    with pytest.raises(MismatchError, match=r"up to 1\.00e-03 \(allowed are 1e-04\) and 0 arg max"):
        compare(logits_of(0.0), logits_of(1e-3), split)
    # Two logits that are all but equal: either may be the larger, and nobody could mend that.
    found = compare(logits_of(2.0 - 1e-6), logits_of(2.0 + 1e-6), split)
    assert (found["decisions"], found["unequal_decisions"]) == (4, 4)


@pytest.mark.parametrize("column", ["start", "end"])
def test_a_logit_that_is_none_is_never_equal(column: str) -> None:
    split = toy_split("question_answering", 2)
    logits = {name: np.arange(split.offsets[-1], dtype=np.float32) for name in ("start", "end")}

    def predictions(**changed: Any) -> Predictions:
        return Predictions(np.zeros(0, np.float32), **{**logits, **changed})

    assert compare(predictions(), predictions(), split)["largest_difference"] == 0.0
    none = np.full_like(logits[column], np.nan)
    for model in (predictions(), predictions(**{column: none})):
        with pytest.raises(MismatchError, match="logits differ by up to nan"):
            compare(model, predictions(**{column: none}), split)


def test_activations_of_the_settings_can_be_computed_and_exported() -> None:
    assert set(get_args(Activation)) == _ACTIVATIONS.keys() <= set(ACT2FN)


def test_what_cannot_be_exported_is_refused(tmp_path: Path) -> None:
    from ligero.common.files import read_json, write_json

    selected = selected_model(tmp_path, "bert", "sequence_classification", count=2)
    with pytest.raises(
        MismatchError, match=r"2 weights have no place in the exported graph, the first is bert\.encoder"
    ):
        build(outline_of(selected.model, "sequence_classification"), _Larger(selected.model))
    config = read_json(selected.model / "config.json")
    write_json(selected.model / "config.json", {**config, "hidden_act": "silu"})
    with pytest.raises(LigeroError, match="activation 'silu' cannot be exported; expected one of gelu"):
        build(outline_of(selected.model, "sequence_classification"), Weights(selected.model))
    write_json(selected.model / "config.json", {**config, "model_type": "modernbert"})
    with pytest.raises(
        DataError, match="model_type is 'modernbert'; albert, bert, roberta, distilbert can be"
    ):
        outline_of(selected.model, "sequence_classification")


class _Larger(Weights):
    """Weights of an encoder that has something more in a layer."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._arrays |= {
            f"bert.encoder.layer.0.gate.{kind}": np.zeros(3, np.float32) for kind in ("weight", "bias")
        }


def outlier(model: nn.Module) -> None:
    """Give one inner unit of ALBERT's layer a huge value that nothing reads: fp32 does not change, a shared range is useless."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("ffn.bias"):
                parameter[0] = 3e4
            if name.endswith("ffn_output.weight"):
                parameter[:, 0] = 0.0


def outlying_weights(model: nn.Module) -> None:
    """Give every output of the feed-forward part a huge weight on an inner unit that is always 0: a scale for all is useless."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("ffn.bias"):
                parameter[0] = -3e4
            if name.endswith("ffn_output.weight"):
                parameter[:, 0] = 1e4


def cancelling(size: float) -> Change:
    """Give two inner units of ALBERT's layer the same value and large opposite weights: their products cancel, a scale that
    holds such weights is coarse for all others, and no range and no divisor of a channel helps."""

    def change(model: nn.Module) -> None:
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name.endswith(("ffn.bias", "ffn.weight")):
                    parameter[1] = parameter[0]
                if name.endswith("ffn_output.weight"):
                    parameter[:, 0], parameter[:, 1] = size, -size

    return change


def without_smoothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def ones(weights: Weights, readers: dict[str, list[str]], peaks: dict[str, Any]) -> dict[str, Any]:
        return {label: np.ones_like(peak) for label, peak in peaks.items()}

    monkeypatch.setattr("ligero.export.quantisation.smoothing", ones)


@pytest.mark.parametrize("change", [outlier, outlying_weights])
def test_outliers_of_a_channel_do_no_damage(
    change: Change, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ALBERT's shared layer makes an outlier an outlier everywhere: plain quantisation takes F1 from 100 to a guess."""
    export = Export(max_drop=10.0, qat_steps=0)
    selected = selected_model(
        tmp_path / "study", "albert", "token_classification", change=change, export=export
    )
    int8 = selected.export(tmp_path / "out").int8
    assert int8["accepted"]
    assert (int8["step"], int8["in_fp32"], int8["tried"]) == ("static ranges", [], 1)
    assert int8["products"] == {"int8": 13, "fp32": 1}
    without_smoothing(monkeypatch)
    assert selected.export(tmp_path / "plain").int8["tried"] > 2  # neither static nor dynamic ranges passed


def test_divisors_are_shared_where_weights_are(tmp_path: Path) -> None:
    selected = selected_model(tmp_path, "albert", "sequence_classification", count=2, num_hidden_layers=3)
    outline, weights = outline_of(selected.model, "sequence_classification"), Weights(selected.model)
    readers = build_observed(outline, weights)[1]
    generator = np.random.default_rng(0)
    sizes = {label: weights[f"{names[0]}.weight"].shape[1] for label, names in readers.items()}
    peaks = {label: generator.uniform(1, 2, size).astype(np.float32) for label, size in sizes.items()}
    peaks["1.inner"][5] = 1000.0
    divisors = smoothing(weights, readers, peaks)
    for group in (("0.hidden", "1.hidden", "2.hidden", "2.first"), ("0.inner", "1.inner", "2.inner")):
        assert all((divisors[label] == divisors[group[0]]).all() for label in group)
    assert divisors["0.inner"].argmax() == 5
    assert np.log(divisors["0.inner"]).mean() == pytest.approx(0, abs=1e-5)
    assert not (divisors["0.inner"][: sizes["0.hidden"]] == divisors["0.hidden"]).all()


def test_a_model_whose_int8_collapses_is_not_offered(tmp_path: Path) -> None:
    selected = selected_model(
        tmp_path / "study",
        "albert",
        "token_classification",
        change=cancelling(300.0),
        export=Export(qat_steps=10),
    )
    manifest = selected.export(tmp_path / "out")
    assert not manifest.int8["accepted"]
    assert manifest.int8["drop"] > 40
    assert "more than max_drop 0.5; 6 graphs were tried" in manifest.int8["reason"]
    assert manifest.precision == "fp32"
    assert set(manifest.files) == {"model.onnx", "tokenizer.json"}
    assert manifest.scores.keys() == {"fp32"}
    with pytest.raises(LigeroError, match=r"there is no int8 graph: int8 loses at least \d+"):
        Predictor(tmp_path / "out", precision="int8")


def test_the_products_that_do_the_damage_go_back_to_fp32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_smoothing(monkeypatch)
    allowed = Export(max_drop=10.0)
    selected = selected_model(
        tmp_path / "study",
        "albert",
        "token_classification",
        change=outlier,
        export=allowed,
        num_hidden_layers=3,
    )
    manifest = selected.export(tmp_path / "out")
    assert manifest.int8["accepted"]
    assert manifest.int8["step"] == "inputs in fp32"
    assert sorted(manifest.int8["in_fp32"]) == ["0.inner", "1.inner", "2.inner"]
    assert manifest.int8["tried"] == 6  # static, dynamic, 1, 2, 4 and 3 inputs in fp32
    assert manifest.int8["drop"] <= 10.0
    assert manifest.scores["int8"]["score"] == manifest.int8["score"] < manifest.scores["fp32"]["score"]
    low, high = manifest.int8["drop_interval"]
    assert low <= manifest.int8["drop"] <= high
    assert manifest.int8["products"] == {"int8": 16, "fp32": 4}


def test_training_recovers_what_no_rounding_does(tmp_path: Path) -> None:
    """The last step before an int8 graph is refused: every step before it has failed, and training passes."""

    def export(steps: int) -> Manifest:
        folder = tmp_path / str(steps)
        selected = selected_model(
            folder / "study",
            "albert",
            "token_classification",
            change=cancelling(15.0),
            export=Export(max_drop=5.0, qat_steps=steps),
        )
        return selected.export(folder / "out")

    refused, manifest = export(0), export(200)
    assert not refused.int8["accepted"]
    assert refused.int8["drop"] > 5.0
    assert manifest.int8["accepted"]
    assert manifest.int8["step"] == "quantisation-aware training"
    assert manifest.int8["tried"] == refused.int8["tried"] + 1
    assert manifest.int8["drop"] <= 5.0
    assert manifest.int8["products"] == {"int8": 13, "fp32": 1}
    assert manifest.parity["largest_difference"] <= 1e-4  # the fp32 graph stays the trained model


@pytest.mark.parametrize("task_type", TASK_TYPES)
@pytest.mark.parametrize("architecture", sorted(FAMILIES))
def test_training_computes_in_the_numbers_of_the_graph(
    architecture: str, task_type: TaskType, tmp_path: Path
) -> None:
    """Before and after some steps. Where a sum lies on the border between two int8 numbers, the order of its terms decides, so
    a few logits may differ by more than rounding."""
    selected = selected_model(tmp_path, architecture, task_type)
    outline, weights = outline_of(selected.model, task_type), Weights(selected.model)
    options = selected.job.options
    split = EncodedSplit.load(selected.encoded / "train.parquet", task_type, options)
    pad = FastTokenizer.load(selected.model).pad
    observed = observe(outline, weights, features_of(split), pad, 1)
    int8 = calibrated(weights, observed)

    def equal(model: nn.Module, weights: Weights, int8: Int8) -> float:
        """Share of equal logits."""
        graph = build(outline, weights, int8).SerializeToString()
        found, expected = predict_split(GraphRunner(graph, pad, True, 1), split), predict(model, split)
        pairs = [(found.logits, expected.logits), (found.start, expected.start), (found.end, expected.end)]
        differences = np.concatenate([np.abs(one - other).ravel() for one, other in pairs])
        return float((differences < 1e-5).mean())

    model = load_selected(selected.model, task_type)
    assert equal(model, weights, int8) < 0.1
    fake_quantised(model, outline, weights, int8, observed.readers)
    assert equal(model, weights, int8) > 0.9
    model = load_selected(selected.model, task_type)
    after = trained(model, outline, weights, int8, observed.readers, split, options, 30)
    assert equal(model, *after) > 0.9
    assert equal(model, weights, int8) < 0.1


@pytest.mark.parametrize(
    ("enough", "asked"), [(1, [1]), (3, [1, 2, 4, 3]), (6, [1, 2, 4, 7, 5, 6]), (8, [1, 2, 4, 7])]
)
def test_the_fewest_that_pass_are_found(enough: int, asked: list[int]) -> None:
    found: list[int] = []

    def passes(count: int) -> bool:
        found.append(count)
        return count >= enough

    _fewest(7, passes)
    assert found == asked


def test_rounding_keeps_products_rather_than_weights() -> None:
    generator = np.random.default_rng(0)
    weights = generator.normal(size=(24, 200)).astype(np.float32)
    seen = (generator.normal(size=(500, 20)) @ generator.normal(size=(20, 200))).astype(np.float32)
    seen += 0.1 * generator.normal(size=seen.shape).astype(np.float32)
    seen[:, 7] = 0.0  # an input that never moves
    nearest, scales = quantised(weights, 63, axis=1)
    chosen = compensated(weights, seen.T @ seen)

    def error(rounded: np.ndarray) -> float:
        return float(((seen @ (rounded * scales - weights).T) ** 2).mean())

    assert error(chosen) < 0.2 * error(nearest)
    assert np.abs(chosen.astype(int)).max() <= 63
    assert (chosen[:, 7] == nearest[:, 7]).all()
    # Inputs that have nothing to do with each other leave nothing to compensate.
    assert (compensated(weights, np.eye(200, dtype=np.float32)) == nearest).all()


def test_int8_can_be_left_out(tmp_path: Path) -> None:
    selected = selected_model(
        tmp_path / "study", "bert", "sequence_classification", export=Export(int8=False), count=4
    )
    manifest = selected.export(tmp_path / "out")
    assert manifest.int8 == {"accepted": False, "reason": "export.int8 is false"}
    assert manifest.graphs.keys() == {"fp32"}


def test_zero_is_exact_in_every_range() -> None:
    assert activation_scale(-1.0, 254.0) == (1.0, 1)
    assert activation_scale(2.0, 255.0) == (1.0, 0)  # the range is widened to hold 0
    assert activation_scale(-255.0, -3.0) == (1.0, 255)
    assert activation_scale(0.0, 0.0) == (1.0, 0)


def test_the_processor_is_on_record(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text("model name\t: A\nflags\t\t: fpu avx2 avx512_vnni\n\nmodel name\t: B\nflags\t\t: fpu\n")
    assert processor(file) == {"name": "A", "flags": ["avx2", "avx512_vnni"]}
    assert processor(tmp_path / "none")["flags"] == []


def test_graphs_are_valid_onnx(tmp_path: Path) -> None:
    selected = selected_model(tmp_path, "roberta", "question_answering", count=2)
    model = build(outline_of(selected.model, "question_answering"), Weights(selected.model))
    onnx.checker.check_model(model)
    assert [entry.name for entry in model.graph.input] == ["input_ids", "attention_mask"]
    assert [entry.name for entry in model.graph.output] == ["start", "end"]


def test_the_validation_split_is_read_only_for_a_comparison(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In fp32 alone the test split is read once; with int8 both splits by both graphs, whose choice follows from training and
    validation."""
    from ligero.export import model, quantisation

    read: list[int] = []
    sizes = {"train": 30, "validation": 40, "test": 20}

    def counted(runner: GraphRunner, split: EncodedSplit) -> Predictions:
        read.append(len(split))
        return predict_split(runner, split)

    monkeypatch.setattr(model, "predict_split", counted)
    monkeypatch.setattr(quantisation, "predict_split", counted)
    for name, expected in (("fp32", [20]), ("int8", [20, 40, 40, 20])):
        export = Export(int8=name == "int8", qat_steps=0)
        read.clear()
        selected = selected_model(
            tmp_path / name, "bert", "sequence_classification", export=export, sizes_of_splits=sizes
        )
        manifest = selected.export(tmp_path / f"{name}-out")
        assert sorted(read) == sorted(expected) and read[0] == 20
        assert {score["examples"] for score in manifest.scores.values()} == {20}
    assert manifest.int8["calibration_examples"] == 30


def test_times_are_medians_in_milliseconds_of_the_runs_after_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, asked = [0.0], set[int]()

    class Runner:
        def __init__(self, *seconds: float) -> None:
            self.seconds = iter(seconds)

        def run(self, features: list[Feature]) -> None:
            asked.update(len(feature.tokens) for feature in features)
            clock[0] += next(self.seconds)

    monkeypatch.setattr(splits, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    split = toy_split("sequence_classification", 2, count=5)
    runners: Any = {"fp32": Runner(0.1, 0.009, 0.002, 0.003), "int8": Runner(0.1, 0.001, 0.002, 0.009)}
    middle = sorted(split.lengths.tolist())[2]
    assert milliseconds(runners, split, runs=3) == ({"fp32": 3.0, "int8": 2.0}, middle)
    assert asked == {middle}


def test_all_exports_stand_in_one_table(tmp_path: Path) -> None:
    import csv

    from ligero.export.summary import write_summary

    good, bad = (
        selected_model(tmp_path / "a", "bert", "sequence_classification"),
        selected_model(
            tmp_path / "b",
            "albert",
            "token_classification",
            change=cancelling(300.0),
            export=Export(qat_steps=0),
        ),
    )
    folders = [
        tmp_path / name / one.job.regime / one.job.model_id / one.job.task_id
        for name, one in (("good", good), ("bad", bad))
    ]
    for one, folder in zip((good, bad), folders, strict=True):
        one.export(folder)
    write_summary(folders, tmp_path / "summary.csv")
    with (tmp_path / "summary.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [row["precision"] for row in rows] == ["fp32", "int8"] * 2
    assert [bool(row["bytes"]) for row in rows] == [True, True, True, False]
    assert float(rows[0]["test_score"]) == 100.0
    assert float(rows[3]["validation_drop"]) > 20
    assert rows[3]["reason"].startswith("int8 loses at least")
    shutil.move(folders[0], folders[0].with_name("other"))
    with pytest.raises(
        DamagedError, match=r"manifest\.json: it belongs elsewhere: it is of .*--forcerun export_model"
    ):
        write_summary([folders[0].with_name("other")], tmp_path / "summary.csv")
