"""Early exit: what ALBERT learns after each repetition of its layer, and graphs that a text leaves as soon as it is certain."""

from __future__ import annotations

import copy
import csv
import json
import re
import shutil
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from ligero.command.main import main
from ligero.command.systems import printed_systems
from ligero.common.errors import MismatchError
from ligero.common.files import read_json, write_json
from ligero.efficiency.engines import engines_of
from ligero.export import exits
from ligero.export.encoder import build, build_with_exits
from ligero.export.quantisation import Gate
from ligero.export.splits import features_of
from ligero.export.summary import write_summary
from ligero.export.weights import Weights, outline_of
from ligero.models.architectures import model_class
from ligero.models.build import make_config
from ligero.reporting.recommendation import measured_systems
from ligero.reporting.registry import make_table, tables
from ligero.reporting.results import Results
from ligero.serving.openapi import openapi
from ligero.serving.predictor import GraphRunner, Predictor, differing, padded
from ligero.serving.readers import Feature, Outputs
from ligero.serving.session import open_session
from ligero.settings import jobs
from ligero.settings.export import Export
from ligero.settings.jobs import ShardJob
from ligero.settings.load import load_study
from ligero.settings.tasks import TaskType
from ligero.settings.yaml_files import read_yaml
from ligero.training.exits import ExitsObjective
from ligero.training.features import EncodedSplit
from ligero.training.objective import GoldObjective
from ligero.training.shard import GoldObjectives
from ligero.training.steps import enable_gradient_checkpointing
from tests.builders.distillation import LABELS, VOCABULARY, toy_split
from tests.builders.exports import selected_model
from tests.builders.models import small_architecture
from tests.builders.results import write_artefacts
from tests.builders.serving import serving

TASKS: tuple[TaskType, ...] = ("sequence_classification", "token_classification", "question_answering")


def albert(task_type: TaskType, layers: int = 3) -> Any:
    """A toy whose repetitions answer differently; another depth has the same weights."""
    config = make_config(small_architecture("albert", layers, max_position_embeddings=128), VOCABULARY, 0)
    config.num_labels = 2 if task_type == "question_answering" else len(LABELS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = model_class("albert", task_type)(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.2 * torch.randn_like(parameter)
    return model


@pytest.mark.parametrize("task_type", TASKS)
def test_every_repetition_is_read_as_a_model_of_that_depth_reads_it(task_type: TaskType) -> None:
    split = toy_split(task_type, 2)
    batch = split.batch(np.arange(6), 0)
    gold = GoldObjective(task_type)
    losses = []
    for depth in (1, 2, 3):
        shallow = albert(task_type, depth)
        losses.append(gold(shallow(**batch.inputs(shallow)), batch).item())
    assert len({round(loss, 3) for loss in losses}) == 3
    model, objective = albert(task_type), ExitsObjective(gold, task_type)
    objective.attach(model)
    loss = objective(model(**batch.inputs(model), **objective.forward_options), batch)
    assert loss.item() == pytest.approx((1 * losses[0] + 2 * losses[1] + 3 * losses[2]) / 6, rel=1e-5)
    assert objective.weight(batch) == gold.weight(batch)


def test_recomputed_activations_give_the_same_gradients() -> None:
    plain = albert("token_classification")
    batch = toy_split("token_classification", 2).batch(np.arange(6), 0)
    gradients = []
    for model in (plain, copy.deepcopy(plain)):
        if gradients:
            enable_gradient_checkpointing(model)
            for module in model.modules():  # in training mode, but without dropout
                module.training = not isinstance(module, torch.nn.Dropout)
        objective = ExitsObjective(GoldObjective("token_classification"), "token_classification")
        objective.attach(model)
        objective(model(**batch.inputs(model), **objective.forward_options), batch).backward()
        gradients.append([p.grad for p in model.parameters() if p.grad is not None])
    assert len(gradients[0]) == len(gradients[1]) > 10
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_only_jobs_with_early_exit_know_of_it() -> None:
    fields: dict[str, Any] = {
        "regime": "fine-tuning",
        "model_id": "m",
        "architecture": small_architecture("albert"),
        "num_hidden_layers": None,
        "trials": (),
        "tasks": {},
        "options": {},
        "distillation": None,
    }
    without, with_exits = ShardJob(**fields), ShardJob(**fields, early_exit=True)
    assert "early_exit" not in without.model_dump(mode="json")
    assert with_exits.model_dump(mode="json")["early_exit"] is True
    assert jobs.digest(without) != jobs.digest(with_exits)
    task: Any = type("Task", (), {"type": "token_classification"})
    built = [GoldObjectives(job.early_exit).build("t", task, None) for job in (without, with_exits)]  # type: ignore[arg-type]
    assert [type(objective).__name__ for objective in built] == ["GoldObjective", "ExitsObjective"]


def answers_of_depths(
    folder: Path, task_type: TaskType, layers: int, features: list[Feature]
) -> list[list[Outputs]]:
    """What the ordinary graph of each depth, from 1 layer to all, answers."""
    weights, config = Weights(folder), read_json(folder / "config.json")
    found = []
    for depth in range(1, layers + 1):
        write_json(folder / "config.json", {**config, "num_hidden_layers": depth})
        graph = build(outline_of(folder, task_type), weights).SerializeToString()
        found.append(GraphRunner(graph, 0, False, 1).run(features))
    return found


def certainty(output: Outputs) -> float:
    """How probable an answer is: its label, its tokens' labels on average, the less certain of start and end."""
    logits = [output[name].astype(np.float64) for name in ("logits", "start", "end") if name in output]
    rows = np.stack(logits) if len(logits) == 2 else np.atleast_2d(logits[0])
    chances = np.exp(rows - rows.max(axis=1, keepdims=True))
    best = chances.max(axis=1) / chances.sum(axis=1)
    return float(best.min() if len(logits) == 2 else best.mean())


@pytest.mark.parametrize("task_type", TASKS)
def test_a_text_leaves_with_the_answer_of_the_first_certain_repetition(
    task_type: TaskType, tmp_path: Path
) -> None:
    """Alone, and beside shorter texts that leave earlier or later: the answer is the same."""
    layers = 4
    selected = selected_model(tmp_path, "albert", task_type, count=12, num_hidden_layers=layers)
    outline, weights = outline_of(selected.model, task_type), Weights(selected.model)
    graph, full = build_with_exits(outline, weights), build(outline, weights)
    onnx.checker.check_model(graph)
    assert (
        len(graph.SerializeToString()) <= 1.1 * (selected.model / "model.safetensors").stat().st_size + 40_000
    )
    split = EncodedSplit.load(selected.encoded / "test.parquet", task_type, selected.job.options)
    features = features_of(split)
    depths = answers_of_depths(selected.model, task_type, layers, features)
    sure = np.array([[certainty(output) for output in outputs] for outputs in depths[:-1]])
    threshold = float(np.median(sure.max(axis=0)))  # half of the texts never leave
    expected = [
        next((n for n in range(layers - 1) if sure[n, row] >= threshold), layers - 1)
        for row in range(len(features))
    ]
    assert {0, layers - 1} <= set(expected)
    runner = GraphRunner(graph.SerializeToString(), 0, True, 1)
    session = open_session(graph.SerializeToString(), 1)
    names = [entry.name for entry in session.get_outputs()]
    together = session.run(names, padded(features, 0, session, threshold))
    for row, output in enumerate(runner.run(features, threshold)):
        length = None if task_type == "sequence_classification" else len(features[row].tokens)
        beside_others = {name: values[row] for name, values in zip(names, together, strict=True)}
        for found in (output, beside_others):
            assert found.pop("repetitions") == expected[row] + 1
            for name, values in found.items():
                np.testing.assert_allclose(values[:length], depths[expected[row]][row][name], atol=1e-4)
    whole = GraphRunner(full.SerializeToString(), 0, False, 1).run(features)
    for output, ordinary in zip(runner.run(features), whole, strict=True):
        assert output.pop("repetitions") == layers
        assert output.keys() == ordinary.keys()
        for name, values in output.items():
            np.testing.assert_allclose(values, ordinary[name], atol=1e-4)


def learned_to_leave(model: torch.nn.Module) -> None:
    """Repetitions after the first change next to nothing, so that every exit answers as the last one does."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.rpartition(".")[0].endswith(("ffn_output", "attention.dense")):
                parameter *= 1e-3
            if name.endswith(("layer_norm.weight", "attention.LayerNorm.weight")):
                parameter.fill_(1.0)
            if name.endswith(("layer_norm.bias", "attention.LayerNorm.bias")):
                parameter.zero_()


def exported(folder: Path, **options: Any) -> tuple[Any, Any]:
    selected = selected_model(
        folder / "study",
        "albert",
        "sequence_classification",
        early_exit=True,
        num_hidden_layers=12,
        hidden_size=128,
        intermediate_size=512,
        **options,
    )
    return selected, selected.export(folder / "out")


@pytest.fixture(scope="module")
def leaving(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Any]:
    """The folder of a model that learned to leave, its parts and its manifest."""
    folder = tmp_path_factory.mktemp("leaving")
    return (folder, *exported(folder, change=learned_to_leave))


def with_known_figures(exits: Any) -> Any:
    """Figures of exits that differ from each other and from those of the validation split."""
    return {
        **exits, "milliseconds": 1.25, "milliseconds_at_full_depth": 2.5, "timed_tokens": 30.0, "speedup": 2.0,
        "speedup_interval": [1.5, 2.5], "test_repetitions": 3.5,
        "test": {**exits["test"], "score": 97.5, "intervals": {"accuracy": [96.0, 99.0]}},
    }  # fmt: skip


def test_an_export_whose_texts_leave_early(leaving: tuple[Path, Any, Any]) -> None:
    tmp_path, selected, manifest = leaving
    assert manifest.exits.keys() == {"fp32", "int8"}
    for precision, found in manifest.exits.items():
        assert found["accepted"]
        assert 0.0 < found["threshold"] < 1.0
        assert found["depth"] == 12
        assert 1.0 <= found["repetitions"] < 6.0
        assert found["test"]["score"] == 100.0
        assert len(found["score_at_depth"]) == 12
        assert found["speedup"] > 1.0
        assert found["speedup_interval"][0] <= found["speedup"] <= found["speedup_interval"][1]
        early, whole = (
            Predictor(tmp_path / "out", precision=precision, threads=1, full_depth=full)
            for full in (False, True)
        )
        texts = [row["text"] for row in selected.rows()]
        answers, ordinary = list(early.predict(texts)), list(whole.predict(texts))
        assert [answer["label"] for answer in answers] == selected.answers()
        repetitions = [answer["repetitions"] for answer in answers]
        assert np.mean(repetitions) == pytest.approx(found["test_repetitions"])
        assert {answer["repetitions"] for answer in ordinary} == {12}
        early.check()
    assert manifest.parity["largest_difference"] <= 1e-4
    size = (selected.model / "model.safetensors").stat().st_size
    assert manifest.graphs["fp32"].bytes <= 1.1 * size + 40_000

    place = tmp_path / manifest.regime / manifest.model / manifest.task
    shutil.copytree(tmp_path / "out", place)
    replace(manifest, exits={**manifest.exits, "int8": with_known_figures(manifest.exits["int8"])}).write(
        place
    )
    write_summary([place], tmp_path / "summary.csv")
    with (tmp_path / "summary.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [(row["precision"], row["reading"]) for row in rows] == [
        ("fp32", "full depth"),
        ("int8", "full depth"),
        ("fp32", "early exit"),
        ("int8", "early exit"),
    ]
    assert [bool(row["repetitions"]) for row in rows] == [False, False, True, True]
    early = {
        "test_score": "97.5",
        "milliseconds": "1.25",
        "milliseconds_at_full_depth": "2.5",
        "repetitions": "3.5",
        "speedup": "2.0",
    }
    assert {name: rows[3][name] for name in early} == early
    engines = {engine.name: engine for engine in engines_of(tmp_path / "out", None, 1)}
    assert [name for name in engines if name.startswith("ONNX")] == [
        "ONNX fp32",
        "ONNX fp32, early exit",
        "ONNX int8",
        "ONNX int8, early exit",
    ]
    split = EncodedSplit.load(selected.encoded / "test.parquet", selected.job.task.type, selected.job.options)
    means = [
        np.mean([output["repetitions"] for output in engines[name].open()(features_of(split))])  # type: ignore[attr-defined]
        for name in ("ONNX fp32", "ONNX fp32, early exit")
    ]
    assert means == [12, pytest.approx(manifest.exits["fp32"]["test_repetitions"])]
    assert "repetitions" in openapi(manifest, "0")["components"]["schemas"]["Answer"]["properties"]


def test_leaving_early_has_rows_beside_the_systems(
    leaving: tuple[Path, Any, Any], tmp_path: Path, project: Path
) -> None:
    _, _, manifest = leaving
    config = read_yaml(project / "config" / "own-task.yaml")
    config["distillation"] = {"students": {"albeto-tiny": {"early_exit": True}}}
    study = load_study(config, project)
    write_artefacts(study, tmp_path)
    results = Results(study, tmp_path)
    task, export = "complaints", results.layout.export("distillation", "albeto-tiny", "complaints")
    assert results.layout.early_exits() == [export]
    assert export in tables(study)["tradeoff"].inputs(results.layout)
    figures = with_known_figures(manifest.exits["int8"])
    Path(export).mkdir(parents=True)
    refused = {"accepted": False, "reason": "it saves no time"}
    digest = results.selection("distillation", "albeto-tiny", task)["model_digest"]
    manifest = replace(manifest, name="ALBETO tiny", model_digest=digest)
    replace(manifest, exits={"fp32": refused, "int8": figures}).write(Path(export))

    rows = make_table("tradeoff", results)
    rows = rows[rows.model.str.startswith("ALBETO tiny, ONNX")]
    assert set(rows.regime) == {"distillation"}
    size = manifest.graphs["int8"].bytes
    texts = "texts of 30 tokens on average, one thread"
    expected = [
        ("MACs", None, None, "12 repetitions", "3.5 of 12 repetitions of the layer on average"),
        ("milliseconds", "2.500", "1.250", texts, f"{texts}; 2.00 times (1.50 to 2.50) as fast as at full depth"),
        ("bytes", size, size, None, None),
    ]  # fmt: skip
    assert rows[["cost", "model", "amount", "score", "notes"]].values.tolist() == [
        row
        for cost, whole, early, whole_note, early_note in expected
        for row in (
            [cost, "ALBETO tiny, ONNX fp32, early exit", None, None, "not measured: early exit is not offered, it saves no time"],
            [cost, "ALBETO tiny, ONNX int8, full depth", whole, "100.00", whole_note],
            [cost, "ALBETO tiny, ONNX int8, early exit", early, "97.50", early_note],
        )
    ]  # fmt: skip

    (early,) = (one for one in measured_systems(results, task) if one.regime == "distillation")
    assert (early.engine, early.milliseconds, early.tokens) == ("ONNX int8, early exit", 1.25, 30)
    assert (early.score, early.low, early.high) == (97.5, 96.0, 99.0)
    both = [
        one for one in measured_systems(results, task, at_full_depth=True) if one.regime == "distillation"
    ]
    assert both[0] == early
    assert (both[1].engine, both[1].milliseconds) == (
        "ONNX int8, full depth",
        manifest.graphs["int8"].milliseconds,
    )
    said = printed_systems(both).splitlines()
    assert len(said) == 4 and said[3].endswith(
        "leaves after 3.5 of 12 repetitions of its layer on average; --full-depth reads all"
    )
    replace(manifest, exits={"int8": refused}).write(Path(export))
    (whole,) = (one for one in measured_systems(results, task) if one.regime == "distillation")
    assert (whole.engine, whole.note) == ("ONNX int8", "early exit is not offered: it saves no time")

    replace(manifest, model_digest="of an earlier choice").write(Path(export))
    (trained,) = (one for one in measured_systems(results, task) if one.regime == "distillation")
    refusal = f"{export}: it is not of the model that is selected now; export that: snakemake RESULTS/exports/distillation/albeto-tiny/complaints (RESULTS is the key results_dir)"
    assert (trained.engine, trained.note) == ("torch fp32", f"its export does not count: {refusal}")
    with pytest.raises(MismatchError, match="it is not of the model that is selected now"):
        make_table("tradeoff", results)


def test_the_score_beside_a_servers_speed_is_that_of_what_it_answers(
    leaving: tuple[Path, Any, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, _, manifest = leaving
    early = {**manifest.exits["fp32"], "test": {**manifest.exits["fp32"]["test"], "score": 97.509}}
    refused = {"accepted": False, "reason": "it saves no time"}
    out = shutil.copytree(folder / "out", tmp_path / "out")
    replace(manifest, exits={"fp32": early, "int8": refused}).write(out)
    monkeypatch.setattr("ligero.command.bench_serve.measure", lambda *_: [])
    for precision, expected in (
        ("fp32", (97.509, True)),
        ("int8", (manifest.scores["int8"]["score"], False)),
    ):
        assert main(["bench-serve", str(out), "--precision", precision, "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert (said["score"], said["early_exit"]) == expected
    assert main(["bench-serve", str(out), "--precision", "fp32"]) == 0
    assert "fp32, early exit; test score 97.50;" in capsys.readouterr().out


@pytest.mark.slow
def test_the_server_says_how_deep_it_read(tmp_path: Path) -> None:
    selected, _ = exported(tmp_path, change=learned_to_leave, export=Export(int8=False))
    texts = [row["text"] for row in selected.rows()][:8]
    answers = [dict(answer) for answer in Predictor(tmp_path / "out", threads=1).predict(texts)]
    assert min(answer["repetitions"] for answer in answers) < 12
    with serving(tmp_path / "out") as server:
        assert differing(server.post({"items": texts}).json()["answers"], answers) == ""
        assert differing(server.post(texts[0]).json(), answers[0]) == ""
        assert server.get("/info").json()["early_exit"] is True
        assert server.get("/health/ready").json() == {"ready": True}


def test_exits_that_lose_too_much_are_not_offered(tmp_path: Path) -> None:
    """Random weights answer something else after every repetition, and are certain of it."""

    def certain(model: torch.nn.Module) -> None:
        with torch.no_grad():
            model.classifier.weight *= 3.0  # type: ignore[union-attr,operator]

    _, manifest = exported(tmp_path, change=certain, export=Export(int8=False))
    assert manifest.exits["fp32"]["accepted"] is False
    assert re.search(
        r"may lose \d+\.\d\d \(95 % interval\), more than max_drop 0\.5", manifest.exits["fp32"]["reason"]
    )
    answer = next(Predictor(tmp_path / "out", threads=1).predict(["hola"]))
    assert "repetitions" not in answer


def test_exits_that_may_lose_too_much_are_not_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The estimate alone, 0.1 points, would pass."""
    verdict = {
        "score": 90.0, "score_fp32": 90.1, "drop": 0.1, "drop_interval": [-0.5, 2.0], "equal_answers": 1.0, "passes": True,
    }  # fmt: skip
    monkeypatch.setattr(Gate, "compare", lambda *_: verdict)
    _, manifest = exported(tmp_path, change=learned_to_leave, export=Export(int8=False, max_drop=0.5))
    assert manifest.exits["fp32"]["accepted"] is False
    assert "loses 0.10 points of the validation score and may lose 2.00" in manifest.exits["fp32"]["reason"]


@pytest.mark.parametrize(
    ("times", "speed"),
    [
        ([(0.0021, 0.002)], r"0\.95 times \(0\.95 to 0\.95\)"),
        ([(0.001, 0.002), (0.003, 0.0021)], r"1\.0[23] times \(0\.\d\d to 1\.\d\d\)"),
    ],
    ids=["slower", "faster by chance"],
)
def test_exits_that_save_no_time_are_not_offered(
    times: list[tuple[float, float]], speed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = cycle(times)
    monkeypatch.setattr(exits, "_seconds", lambda *_: next(turns))
    _, manifest = exported(tmp_path, change=learned_to_leave, export=Export(int8=False))
    assert manifest.exits["fp32"]["accepted"] is False
    assert re.fullmatch(
        rf"it saves no time: \d\.\d of 12 repetitions at the threshold 0\.\d+, but {speed} the speed .*",
        manifest.exits["fp32"]["reason"],
    )


def test_the_first_run_of_a_text_warms_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    class Runner:
        def __init__(self, *seconds: float) -> None:
            self.seconds = iter(seconds)

        def run(self, features: list[Feature], threshold: float) -> None:
            clock[0] += next(self.seconds)

    monkeypatch.setattr(exits, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    early, full = Runner(100, 1, 2, 3, 4, 5), Runner(100, 11, 12, 13, 14, 15)
    assert exits._seconds(early, 0.5, full, Feature([1], [0])) == (3, 13)  # type: ignore[arg-type]


def test_times_are_those_of_one_thread_whatever_the_export_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the manifest, the tables and the documentation say of every time of an export."""
    timed: list[int] = []

    def note(*runners: GraphRunner) -> None:
        timed.extend(runner._session.get_session_options().intra_op_num_threads for runner in runners)

    def seconds(early: GraphRunner, threshold: float, full: GraphRunner, feature: Feature) -> Any:
        note(early, full)
        return 0.001, 0.002

    def milliseconds(runners: dict[Any, GraphRunner], split: EncodedSplit) -> Any:
        note(*runners.values())
        return dict.fromkeys(runners, 1.0), 9

    monkeypatch.setattr(exits, "_seconds", seconds)
    monkeypatch.setattr("ligero.export.model.milliseconds", milliseconds)
    selected = selected_model(
        tmp_path / "study",
        "albert",
        "sequence_classification",
        early_exit=True,
        change=learned_to_leave,
        export=Export(qat_steps=0),
    )
    assert selected.export(tmp_path / "out", threads=2).exits["fp32"]["accepted"]
    assert len(timed) > 4 and set(timed) == {1}


def test_thresholds_are_lowered_until_one_changes_nothing_more() -> None:
    rows = [(0.3, 0.97, 0.99), (0.96, 0.99, 0.99), (0.1, 0.2, 0.9)]
    every: list[Outputs] = [
        {f"certainty:{n}": np.float32(value) for n, value in enumerate(row, start=1)}  # type: ignore[misc]
        for row in rows
    ]
    found = {threshold: left.tolist() for threshold, left in exits._exits(every, 3)}
    assert found == {0.99: [3, 2, 3], 0.96: [2, 1, 3], 0.3: [1, 1, 3], 0.2: [1, 1, 2]}
