"""What benchmarks compare is equal work, their rows say what was measured where, and they refuse arguments that they cannot measure with."""

from __future__ import annotations

import argparse
import csv
import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import bench_pretraining
import bench_workflow
import corpus_contenders
import distillation_contenders
import inference_contenders
from _measurements import WHERE, output_of, write_measurements
from corpus_contenders import Measurement, bench_memory, projections, take_blocks
from ligero.common.errors import ConfigurationError, LigeroError, MismatchError
from ligero.settings.models import Architecture
from ligero.training.evaluate import predict

LINE = "En un lugar de la Mancha, de cuyo nombre no quiero acordarme.\n"
PROGRAMS = sorted(path.stem for path in Path(__file__).parents[2].glob("benchmarks/bench_*.py"))


def run(program: str, *arguments: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program's `main`, in this process."""
    monkeypatch.setattr(sys, "argv", [program, *map(str, arguments)])
    importlib.import_module(program).main()


@pytest.mark.parametrize(
    ("program", "arguments", "said"),
    [
        ("bench_data", "--megabytes 0", "expected a number of at least 0.1, found '0'"),
        ("bench_data", "--megabytes nan", "found 'nan'"),
        ("bench_data", "--rounds 0", "expected a whole number of at least 1, found '0'"),
        ("bench_data", "--memory-megabytes 0 500", "argument --memory-megabytes"),
        ("bench_distillation", "--out x.csv --turns 1", "at least 2"),
        ("bench_distillation", "--out x.csv --threads 0", "at least 1"),
        ("bench_early_exit", "--out x.csv --texts 1201", "from 1 to 1200"),
        ("bench_early_exit", "--out x.csv --layers 2", "at least 3"),
        ("bench_inference", "--out x.csv --turns 1", "at least 2"),
        ("bench_inference", "--out x.csv --layers 2 0", "at least 1"),
        ("bench_pretraining", "--rounds 0", "at least 1"),
        ("bench_pretraining", "--megabytes -1", "argument --megabytes"),
        ("bench_pretraining", "--learn-tokens=-1", "at least 0"),
        ("bench_serving", "--out x.csv --tokens 2", "from 3 to 512"),
        ("bench_serving", "--out x.csv --tokens 513", "from 3 to 512"),
        ("bench_serving", "--out x.csv --clients 1 0", "at least 1"),
        ("bench_serving", "--out x.csv --seconds inf", "found 'inf'"),
        ("bench_serving", "--out x.csv --clients 1.5", "a whole number"),
        ("bench_workflow", "--rounds 0", "at least 1"),
        ("bench_workflow", "--factors 1 0", "at least 1"),
    ],
)
def test_arguments_that_measure_nothing_are_refused(
    program: str,
    arguments: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(program, *arguments.split(), monkeypatch=monkeypatch)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_what_the_device_cannot_do_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(bench_pretraining, "products", lambda kind: pytest.fail("measuring has begun"))
    with pytest.raises(ConfigurationError, match="--device cuda: torch finds no GPU"):
        run("bench_pretraining", "--device", "cuda", monkeypatch=monkeypatch)
    with pytest.raises(ConfigurationError, match="--sizes xxlarge: measured on a GPU only"):
        run("bench_pretraining", "--sizes", "tiny", "xxlarge", monkeypatch=monkeypatch)


def test_wrong_weights_are_refused_before_the_study_on_generated_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 1, "num_hidden_layers": 1}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", **small}))
    monkeypatch.setattr("bench_early_exit.generated", lambda folder: pytest.fail("the long part has begun"))
    with pytest.raises(ConfigurationError, match="expected an ALBERT, found bert"):
        run("bench_early_exit", "--out", tmp_path / "x.csv", "--weights", tmp_path, monkeypatch=monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_run_from_a_plain_checkout(program: str, project: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, str(project / "benchmarks" / f"{program}.py"), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "--out" in done.stdout


def test_tables_say_where_they_were_measured(tmp_path: Path) -> None:
    write_measurements(tmp_path / "x.csv", ("measure", "ours"), [("a", 1), ("b", 2)], threads=2, device="Z")
    with (tmp_path / "x.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [(row["measure"], row["device"], row["threads"]) for row in rows] == [
        ("a", "Z", "2"),
        ("b", "Z", "2"),
    ]
    assert list(rows[0]) == ["measure", "ours", *WHERE]
    assert rows[0]["torch"].split("+")[0] == torch.__version__.split("+")[0]


def test_a_program_that_fails_says_why() -> None:
    with pytest.raises(LigeroError, match="exit status 3:\nno memory left"):
        output_of([sys.executable, "-c", "import sys; sys.stderr.write('no memory left'); sys.exit(3)"])


@pytest.mark.parametrize("megabytes", [0.1, 1, 5, 12])
def test_as_much_text_is_taken_as_was_asked_for(megabytes: float, tmp_path: Path) -> None:
    """A block of 4 MiB from each file was the least, and what a short file lacks came from none."""
    paths = [tmp_path / name for name in ("long.txt", "short.txt", "longer.txt")]
    for path, size in zip(paths, (6e6, 2e5, 9e6), strict=True):
        path.write_text(LINE * int(size / len(LINE)), encoding="utf-8")
    blocks = take_blocks(paths, megabytes)
    assert megabytes * 1e6 - 3 * len(LINE) <= sum(map(len, blocks)) <= megabytes * 1e6
    assert all(block.endswith(b"\n") for block in blocks)


def test_all_there_is_is_taken_where_that_is_less(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(LINE * 3, encoding="utf-8")
    assert b"".join(take_blocks([tmp_path / "text.txt"], 1)).decode() == LINE * 3


def test_memory_is_measured_on_as_much_text_as_its_row_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []

    def cleaned(command: list[str], environment: dict[str, str]) -> str:
        sizes.append(Path(command[3]).stat().st_size)
        return "1024"

    monkeypatch.setattr(corpus_contenders, "output_of", cleaned)
    bench_memory([LINE.encode() * 10_000] * 3, tmp_path, 1, 3)
    assert np.allclose(sizes, [1e6, 3e6], atol=len(LINE), rtol=0)


def test_projections_are_seconds() -> None:
    (row,) = projections([Measurement("cleaning", 132.1, 21.1, "re", "MB/s, one core", 6)])
    assert (row.unit, round(row.ours, 2), round(row.peer or 0, 1)) == ("seconds", 2.18, 13.6)


def test_rows_of_generated_text_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = json.dumps({"mlm_loss": 2.0, "steps": 1, "unigram_loss": 3.0})
    monkeypatch.setattr(bench_pretraining, "output_of", lambda command: said)
    monkeypatch.setattr("ligero.models.precision.bf16_is_slower", lambda device: True)
    args = argparse.Namespace(device="cpu", learn_tokens=9, length=16, threads=1, texts=[])
    assert bench_pretraining.losses(args, tmp_path)[0].endswith("), generated text")
    args.texts = [tmp_path / "real.txt"]
    assert bench_pretraining.losses(args, tmp_path)[0].endswith(")")


@pytest.mark.slow
def test_the_corpus_benchmark_without_real_text(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    program = project / "benchmarks" / "bench_data.py"
    sizes = "--megabytes 0.5 --memory-megabytes 1 2 --rounds 1 --kinds wordpiece"
    output_of([sys.executable, str(program), *sizes.split(), "--out", "data.csv"])
    with Path("data.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert rows[0]["measure"] == "cleaning 0.5 MB, generated text"
    assert all(row["measure"].count("generated text") == 1 and row["threads"].startswith("1") for row in rows)


def small_bert() -> Any:
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    of_bert = distillation_contenders.config_class("bert")(**distillation_contenders.COMMON, **shape)
    return distillation_contenders.model_class("bert", "sequence_classification")(of_bert).eval()


def test_logits_are_cached_of_the_same_sentences_on_both_sides() -> None:
    model, part = small_bert(), distillation_contenders.sentences(np.array([9, 40, 8, 30] * 10))
    ours, peer = predict(model, part).logits, distillation_contenders.in_file_order(model, part)
    assert ours.shape == peer.shape == (40, 3)
    distillation_contenders.refuse_other_logits(ours, peer)
    with pytest.raises(MismatchError):
        distillation_contenders.refuse_other_logits(ours, peer[::-1])


def test_students_of_both_sides_have_the_same_optimizer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fused AdamW takes one kernel for a whole model."""
    made = []

    class Seen(torch.optim.AdamW):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            made.append(options.get("fused"))
            super().__init__(*arguments, **options)

    monkeypatch.setattr(torch.optim, "AdamW", Seen)
    monkeypatch.setattr(distillation_contenders, "student", small_bert)
    split = distillation_contenders.sentences(np.array([8, 9]))
    distillation_contenders._steps(split, None, [])
    distillation_contenders._transformers(split, np.zeros((2, 3), np.float32), [], "longest")
    assert made == [True, True]


def test_beto_in_transformers_and_exported_has_the_same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    small = Architecture(
        type="bert", vocab_size=31_002, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )  # fmt: skip
    monkeypatch.setattr(inference_contenders, "BETO", small)
    eager, exported = inference_contenders._beto()
    feature = inference_contenders._feature(np.random.default_rng(0), 12)
    answers = exported.run([feature])[0]["logits"], inference_contenders._forward(eager, feature)[0]
    inference_contenders.refuse_other_logits(*answers)
    with pytest.raises(MismatchError, match="BETO"):
        inference_contenders.refuse_other_logits(answers[0] + 1, answers[1])


def test_commands_of_the_workflow_take_turns_and_medians_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter([5.0, 1.0, 9.0, 2.0, 7.0, 30.0])
    order = []

    def measured(command: list[str], folder: Path) -> bench_workflow.Cost:
        order.append(command[0])
        return bench_workflow.Cost(0, next(seconds), 0, "")

    monkeypatch.setattr(bench_workflow, "measured", measured)
    costs = bench_workflow.in_turn({"ours": (["a"], tmp_path), "empty": (["b"], tmp_path)}, 3)
    assert order == ["a", "b"] * 3
    assert (costs["ours"].cpu, costs["empty"].cpu) == (7.0, 2.0)


def test_the_run_on_a_gpu_takes_ten_minutes_at_most(project: Path) -> None:
    script = (project / "benchmarks" / "gpu.sh").read_text(encoding="utf-8")
    limits = [int(limit) for limit in re.findall(r"^step \S+ (\d+)", script, re.MULTILINE)]
    (grace,) = re.findall(r"--kill-after=(\d+)", script)
    total = sum(limits) + len(limits) * int(grace)
    assert len(limits) == 3 and total <= 600 and f"make {total} seconds" in script
    assert script.count('nvidia-smi -i "$gpu" ') == 2
