"""`ligero bench` and `ligero bench-serve`: every engine on every input in turns, energy by counters or not at all."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ligero.command import soak
from ligero.command.bench import _inputs, _spread, study_of
from ligero.command.main import main
from ligero.command.served import post
from ligero.common.errors import ConfigurationError, DataError
from ligero.efficiency import engines
from ligero.efficiency.engines import EAGER, EnergyMeter, Timing, in_turn
from ligero.models.heads import load_selected
from ligero.serving.manifest import Manifest
from tests.builders.exports import selected_model

TUNED = "torch, fused attention, fastest precision"


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export in its study's results, beside the trained model and its task."""
    root = tmp_path_factory.mktemp("bench")
    selected = selected_model(root / "made", "bert", "sequence_classification")
    results = root / "study" / "results"
    shutil.copytree(selected.model, results / "models/fine-tuning/m/t")
    shutil.copytree(selected.examples, results / "tasks/t")
    selected.export(results / "exports/fine-tuning/m/t")
    return results / "exports/fine-tuning/m/t"


def test_contenders_take_turns_and_the_first_turn_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    clock, seconds = [0.0], {"a": iter([100, 1, 3]), "b": iter([100, 11, 13])}

    def run(name: str) -> None:
        calls.append(name)
        clock[0] += next(seconds[name])

    clocks = SimpleNamespace(perf_counter=lambda: clock[0], process_time=lambda: 2 * clock[0])
    monkeypatch.setattr(engines, "time", clocks)
    times = in_turn({name: partial(run, name) for name in "ab"}, 2, EnergyMeter(tmp_path))
    assert calls == ["a", "b"] * 3
    assert times == {"a": Timing(2, 1.5, 2.5, 4, None), "b": Timing(12, 11.5, 12.5, 24, None)}


def test_energy_is_what_the_counters_say(tmp_path: Path) -> None:
    assert EnergyMeter(tmp_path).method == "none"
    for number, value in enumerate((1_000_000, 250_000_000)):
        package = tmp_path / f"intel-rapl:{number}"
        package.mkdir()
        (package / "energy_uj").write_text(str(value))
        (package / "max_energy_range_uj").write_text("260000000")
    meter = EnergyMeter(tmp_path)
    assert meter.method == "rapl" and meter.since_last() == 0.0
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("3500000")
    (tmp_path / "intel-rapl:1" / "energy_uj").write_text("1000000")  # the counter began again
    assert meter.since_last() == pytest.approx(2.5 + 11.0)
    assert meter.since_last() == 0.0, "of the last call, and not of the start"


def test_energy_is_the_mean_of_the_runs_that_count() -> None:
    read = iter([7.0, 100.0, 7.0, 2.0, 7.0, 4.0])  # before and after each run; the first warms up
    meter: Any = SimpleNamespace(since_last=lambda: next(read))
    assert in_turn({"a": lambda: None}, 2, meter)["a"].joules == 3.0


def test_a_model_finds_its_study(export: Path, tmp_path: Path) -> None:
    manifest, results = Manifest.read(export), export.parents[3]
    assert study_of(export, manifest) == results
    copied = results.parent / "model"
    shutil.copytree(export, copied)
    assert study_of(copied, manifest) == results
    shutil.copytree(export, tmp_path / "alone")
    assert study_of(tmp_path / "alone", manifest) is None


def test_bad_arguments_are_refused(export: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--runs 1: expected 2 or more"):
        main(["bench", str(export), "--runs", "1"])
    with pytest.raises(ConfigurationError, match=r"--trained .*: no config\.json there"):
        main(["bench", str(export), "--trained", str(tmp_path)])
    with pytest.raises(DataError, match=r"none\.txt: no such file"):
        main(["bench", str(export), str(tmp_path / "none.txt")])
    with pytest.raises(ConfigurationError, match="--second-text: name the FILE that has this column"):
        main(["bench", str(export), "--second-text", "b"])
    with pytest.raises(
        ConfigurationError, match="--seconds, --clients, --soak and --rate: expected numbers above 0"
    ):
        main(["bench-serve", str(export), "--clients", "0"])


def test_a_start_is_charged_for_no_other_engine(
    export: Path, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def core() -> None:
        raise AssertionError("OpenVINO was opened to measure onnxruntime")

    monkeypatch.setitem(sys.modules, "openvino", SimpleNamespace(Core=core))
    monkeypatch.setattr(engines, "find_spec", lambda name: True)
    engines.answer_once("ONNX fp32", str(export), "", "1", "16")
    answered, peak = capsys.readouterr().out.split()
    assert answered == "answered" and int(peak) % 1024 == 0, "Linux counts in units of 1024 bytes"
    code = "import sys, ligero.efficiency.engines; print('onnxruntime' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project / "workflow", capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_texts_are_spread_over_the_whole_split() -> None:
    for count in (1, 31, 32, 63, 1000):
        found: list[Any] = _spread([str(place) for place in range(count)])
        places = [int(item) for item in found]
        assert places == sorted(set(places)) and len(places) == min(count, 32)
        assert (places[0], places[-1]) == (0, count - 1)


def test_a_question_is_one_text_however_many_windows_it_has(tmp_path: Path) -> None:
    """Else a long context counts as several texts, and texts per second are as many times too high."""
    selected_model(tmp_path / "study", "bert", "question_answering").export(tmp_path / "out")
    items = [{"question": "a", "context": "b " * words} for words in (60, 2, 30)]
    real, fixed, pairs = _inputs(Manifest.read(tmp_path / "out"), tmp_path / "out", items, [16], [2])
    assert [len(windows) for windows in real.batches] == [4, 1, 2]
    assert [len(windows) for windows in pairs.batches] == [3, 4]
    tokens = sum(len(window.tokens) for windows in real.batches for window in windows)
    assert real.name == pairs.name == f"texts of {tokens / 3:.0f} tokens"
    assert (real.texts, fixed.texts, pairs.texts) == (3, 1, 3)


def test_what_others_are_compared_with_is_transformers_own_model(
    export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """ALBERT's GELU is many kernels there and one here: the thesis timed theirs."""
    selected = selected_model(tmp_path, "albert", "sequence_classification", count=2)
    inputs = {"input_ids": torch.tensor([[5, 6, 7]])}
    ours = load_selected(selected.model, "sequence_classification")(**inputs).logits
    capfd.readouterr()
    stock = engines._as_transformers_runs_it(selected.model, "sequence_classification")
    assert stock.config._attn_implementation == "eager"  # type: ignore[union-attr]
    kinds = {type(module).__name__ for module in stock.modules()}
    assert "NewGELUActivation" in kinds and "GELU" not in kinds
    torch.testing.assert_close(stock(**inputs).logits, ours, atol=1e-5, rtol=1e-4)
    monkeypatch.setattr("ligero.models.heads.load_selected", None)
    eager = next(engines.engines_of(export, selected.model, 1))
    assert eager.name == EAGER
    eager.open()
    assert capfd.readouterr().err == ""


@pytest.mark.slow
def test_every_engine_is_measured_on_every_input(
    export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bench.csv"
    line = [
        "bench",
        str(export),
        "--runs",
        "2",
        "--lengths",
        "16",
        "512",
        "--batches",
        "8",
        "--json",
        "--out",
        str(out),
    ]
    assert main(line) == 0
    said = capsys.readouterr()
    assert "512 tokens are more than the model reads (24)" in said.err
    found: dict[str, Any] = json.loads(said.out)
    engines = {EAGER, TUNED, "ONNX fp32", "ONNX int8"}
    measured = {start["engine"] for start in found["starts"] if not start["engine"].startswith("OpenVINO")}
    assert measured == engines
    inputs = {(row["input"], row["batch"]) for row in found["times"]}
    assert sorted(batch for _, batch in inputs) == [1, 1, 8] and ("16 tokens", 1) in inputs
    assert len(found["times"]) == len(inputs) * len(found["starts"])
    for row in found["times"]:
        assert row["quartile_low"] <= row["milliseconds"] <= row["quartile_high"]
        assert row["over_eager"] == 1.0 or row["engine"] != EAGER
        assert (row["joules"] is None) == (row["energy_method"] == "none")
    peaks = {start["engine"]: start["peak_megabytes"] for start in found["starts"]}
    assert peaks["ONNX fp32"] < peaks[EAGER]  # no torch in its process
    with out.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == len(found["times"])
    assert found["conditions"]["texts"].endswith("tasks/t/test.parquet")


@pytest.mark.slow
def test_a_served_model_is_loaded(export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("a b c\nñ o\n", encoding="utf-8")
    line = ["bench-serve", str(export), str(texts), "--seconds", "0.3", "--clients", "1", "3", "--json"]
    assert main(line) == 0
    found = json.loads(capsys.readouterr().out)
    assert [load["clients"] for load in found["loads"]] == [1, 3]
    assert all(load["requests"] > 0 and load["p50_ms"] <= load["p99_ms"] for load in found["loads"])
    assert found["score"] == 100.0 or found["precision"] == "int8"


@pytest.mark.slow
def test_a_soak_passes_and_notices_faults(
    export: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ["bench-serve", str(export), "--soak", "0.08", "--rate", "100", "--json"]
    monkeypatch.setattr(soak, "MALFORMED", soak.MALFORMED[:16] + soak.MALFORMED[17:])  # one waits for 10 s
    monkeypatch.setattr(soak, "MOST_GROWTH", 100.0)  # seconds are no warm-up
    assert main(line) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["passed"] and found["answers"] > 100 and found["malformed"] > 40
    assert (found["lost_when_stopped"], found["exit_status"], found["server_errors"]) == (0, 0, 0)

    monkeypatch.setattr(soak, "MALFORMED", (post(b'"a"'),))
    monkeypatch.setattr(soak, "differing", lambda found, expected: "another label")
    assert main(line) == 1
    said = capsys.readouterr()
    verdict = json.loads(said.out)
    assert verdict["wrong_answers"] == verdict["answers"] > 0
    assert verdict["malformed_not_refused"] == verdict["malformed"] > 0
    assert "another label" in said.err and "status 200 for b'POST /predict" in said.err


def test_texts_of_a_soak_have_all_lengths() -> None:
    items: list[Any] = ["a b", {"words": ["a", "b"]}, {"question": "q", "context": "a b"}, "a b"]
    assert list(soak.of_all_lengths(items, 6)) == [
        {"text": "a"},
        {"words": ["a", "b"]},
        {"question": "q", "context": "a b a b a b a b"},
        {"text": "a b a b a b"},
    ]
