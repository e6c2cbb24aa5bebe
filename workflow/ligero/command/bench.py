"""`ligero bench`: how fast an exported model is on this machine, engine by engine, at the lengths of its texts and at fixed ones."""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import TypedDict

import numpy as np

from ligero.command.predict import columns_of, items_of_file
from ligero.common.errors import ConfigurationError, LigeroError
from ligero.common.files import atomic_path, user_path
from ligero.efficiency.engines import (
    EAGER,
    EnergyMeter,
    EnergyMethod,
    Engine,
    Run,
    Timing,
    engines_of,
    in_turn,
)
from ligero.efficiency.processor import processor
from ligero.serving.answers import Item
from ligero.serving.manifest import Manifest
from ligero.serving.predictor import load_tokenizer
from ligero.serving.readers import READERS, Feature
from ligero.serving.session import check_threads

BETO_EAGER, BETO_EXPORTED = "BETO, torch, eager attention, fp32", "BETO, ONNX fp32"
TEXTS = 32
"""Texts of real lengths that are measured."""
_KEYS = ("text", "second_text", "words", "question", "context")
_LIBRARY = str(Path(__file__).parents[2])
_CHILD = "import sys; from ligero.efficiency.engines import answer_once; answer_once(*sys.argv[1:])"


class Row(TypedDict):
    """One engine on one kind of input.

    Times are of one text: the median of the runs, their quartiles, and the median of processor time.
    """

    engine: str
    input: str
    batch: int
    milliseconds: float
    quartile_low: float
    quartile_high: float
    processor_milliseconds: float
    texts_per_second: float
    over_eager: float | None
    """Times as fast as the trained model in torch with eager attention, on the same input."""
    joules: float | None
    energy_method: EnergyMethod


class Start(TypedDict):
    """An engine in a process of its own."""

    engine: str
    file_megabytes: float
    cold_start_seconds: float
    """From the start of the process to the first answer."""
    peak_megabytes: float | None
    """Most memory, after a text of the model's full length."""


@dataclass(frozen=True)
class Input:
    """Texts that every engine reads, in batches, each with all its windows."""

    name: str
    batch: int
    batches: list[list[Feature]]
    texts: int


def run(args: argparse.Namespace) -> int:
    """Measure, print, and write what was asked for."""
    if args.runs < 2:
        raise ConfigurationError(f"--runs {args.runs}: expected 2 or more")
    check_threads(args.threads)
    for name in ("lengths", "batches"):
        if wrong := [value for value in getattr(args, name) if value < 1]:
            raise ConfigurationError(f"--{name} {wrong[0]}: expected 1 or more")
    folder = user_path(args.folder)
    manifest = Manifest.read(folder)
    manifest.verify(folder)
    results = study_of(folder, manifest)
    trained = _trained(args.trained, results, manifest)
    items, origin = items_for(args, manifest, folder)
    inputs = list(_inputs(manifest, folder, items, args.lengths, args.batches))
    engines = {engine.name: engine for engine in engines_of(folder, trained, args.threads)}
    if trained is None:
        print(
            "note: the trained model is not at hand (--trained FOLDER), so torch is left out", file=sys.stderr
        )
    opened = {name: engine.open() for name, engine in engines.items()}
    if args.beto:
        opened |= _beto(args.threads)
    meter = EnergyMeter()
    rows = [row for one in inputs for row in measured(opened, one, args.runs, meter)]
    starts = [
        _start(engine, folder, trained, args.threads, manifest.max_length) for engine in engines.values()
    ]
    conditions = {
        "model": manifest.name,
        "task": manifest.task,
        "texts": origin,
        "threads": args.threads,
        "runs": args.runs,
        "processor": processor(),
        "energy": meter.method,
    }
    if args.out:
        with atomic_path(user_path(args.out)) as path, path.open("w", newline="", encoding="utf-8") as handle:
            writer = csv.DictWriter(
                handle, [*Row.__annotations__, *list(Start.__annotations__)[1:], "conditions"]
            )
            writer.writeheader()
            of = {start["engine"]: start for start in starts}
            for row in rows:
                writer.writerow({**row, **of.get(row["engine"], {}), "conditions": json.dumps(conditions)})
    if args.json:
        print(json.dumps({"conditions": conditions, "times": rows, "starts": starts}, ensure_ascii=False))
    else:
        print("\n".join(_printed(conditions, rows, starts)))
    return 0


def study_of(folder: Path, manifest: Manifest) -> Path | None:
    """The results folder of the study that an export lies in, or beside as STUDY/model; None elsewhere."""
    place = folder.resolve()
    near = [place.parents[3]] if len(place.parents) > 3 else []
    for results in (*near, place.parent / "results"):
        if (results / "models" / manifest.regime / manifest.model / manifest.task).is_dir():
            return results
    return None


def _trained(given: str | None, results: Path | None, manifest: Manifest) -> Path | None:
    if given is None:
        return results and results / "models" / manifest.regime / manifest.model / manifest.task
    folder = user_path(given)
    if not (folder / "config.json").is_file():
        raise ConfigurationError(
            f"--trained {given}: no config.json there; a folder of results/models is expected"
        )
    return folder


def items_for(args: argparse.Namespace, manifest: Manifest, folder: Path) -> tuple[list[Item], str]:
    """Texts of real lengths, and where they are from: the file named, the study's test split, or generated ones.

    Raises:
        ConfigurationError: columns are named and no file.
    """
    columns = columns_of(args)
    if args.file:
        path = user_path(args.file)
        return list(islice(items_of_file(path, columns), TEXTS)), str(path)
    if columns:
        raise ConfigurationError(
            f"--{next(iter(columns)).replace('_', '-')}: name the FILE that has this column, or leave it out"
        )
    results = study_of(folder, manifest)
    split = results / "tasks" / manifest.task / "test.parquet" if results else None
    if split is not None and split.is_file() and find_spec("pyarrow"):
        return _spread(_examples(split, manifest)), str(split)
    from ligero.synthetic.table import labelled_texts

    texts = [text for text, _ in labelled_texts(1, TEXTS)]
    if manifest.task_type == "question_answering":
        return [{"question": "¿Qué dijo el presidente?", "context": text} for text in texts], "generated"
    if manifest.pairs:
        return [{"text": text, "second_text": text} for text in texts], "generated"
    return list(texts), "generated"


def _examples(split: Path, manifest: Manifest) -> list[Item]:
    from ligero.training.scoring import Examples

    columns = Examples.load(split, manifest.task_type).columns
    kept = [key for key in _KEYS if key in columns and any(value is not None for value in columns[key])]
    return [
        dict(zip(kept, values, strict=True)) for values in zip(*(columns[key] for key in kept), strict=True)
    ]


def _spread(items: list[Item]) -> list[Item]:
    """TEXTS of the items, evenly from the first to the last."""
    places = np.linspace(0, len(items) - 1, min(TEXTS, len(items))).round().astype(int)
    return [items[place] for place in places.tolist()]


def _inputs(
    manifest: Manifest, folder: Path, items: Sequence[Item], lengths: Sequence[int], batches: Sequence[int]
) -> list[Input]:
    reader = READERS[manifest.task_type](manifest, load_tokenizer(folder, manifest.tokenizer))
    questions = [reader.read(item) for item in items]
    mean = sum(question.tokens for question in questions) / len(questions)
    real = f"texts of {mean:.0f} tokens"
    found = [Input(real, 1, [question.features for question in questions], len(questions))]
    every_token = [
        token for question in questions for feature in question.features for token in feature.tokens
    ]
    for length in lengths:
        if length > manifest.max_length:
            print(
                f"note: {length} tokens are more than the model reads ({manifest.max_length})",
                file=sys.stderr,
            )
            continue
        tokens = list(islice(cycle(every_token), length))
        found.append(Input(f"{length} tokens", 1, [[Feature(tokens, [0] * length)]], 1))
    by_length = sorted(questions, key=lambda question: question.tokens)
    for size in batches:
        batched = [
            [feature for question in by_length[at : at + size] for feature in question.features]
            for at in range(0, len(by_length), size)
        ]
        found.append(Input(real, size, batched, len(questions)))
    return found


def measured(engines: dict[str, Run], given: Input, runs: int, meter: EnergyMeter) -> list[Row]:
    """A row for each engine on an input; the engines take turns."""

    def passes(run: Run) -> None:
        for batch in given.batches:
            run(batch)

    contenders: dict[str, Callable[[], object]] = {
        name: partial(passes, run) for name, run in engines.items()
    }
    times = in_turn(contenders, runs, meter)
    eager = times.get(EAGER)
    return [_row(name, given, time_, eager, meter.method) for name, time_ in times.items()]


def _row(name: str, given: Input, timing: Timing, eager: Timing | None, method: EnergyMethod) -> Row:
    def milliseconds(seconds: float) -> float:
        return round(1000 * seconds / given.texts, 4)

    return {
        "engine": name,
        "input": given.name,
        "batch": given.batch,
        "milliseconds": milliseconds(timing.seconds),
        "quartile_low": milliseconds(timing.low),
        "quartile_high": milliseconds(timing.high),
        "processor_milliseconds": milliseconds(timing.processor),
        "texts_per_second": round(given.texts / timing.seconds, 1),
        "over_eager": round(eager.seconds / timing.seconds, 2) if eager else None,
        "joules": None if timing.joules is None else timing.joules / given.texts,
        "energy_method": method,
    }


def _start(engine: Engine, folder: Path, trained: Path | None, threads: int, length: int) -> Start:
    """Raises: LigeroError: the engine's own process failed."""
    line = [
        sys.executable,
        "-c",
        _CHILD,
        engine.name,
        str(folder),
        str(trained or ""),
        str(threads),
        str(length),
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [_LIBRARY, os.environ.get("PYTHONPATH")])),
    }
    with TemporaryFile("w+") as said:
        start = time.perf_counter()
        with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=said, text=True, env=environment) as child:
            assert child.stdout
            first = child.stdout.readline()
            seconds = time.perf_counter() - start
            peak = child.stdout.read().strip()
        if first.strip() != "answered" or child.returncode:
            said.seek(0)
            raise LigeroError(f"{engine.name} failed in a process of its own:\n{said.read().strip()}")
    return {
        "engine": engine.name,
        "file_megabytes": round(engine.file.stat().st_size / 1e6, 2),
        "cold_start_seconds": round(seconds, 3),
        "peak_megabytes": round(int(peak) / 1e6, 1) if int(peak) else None,
    }


def _beto(threads: int) -> dict[str, Run]:
    """BETO with random weights, as the thesis timed it and exported: what speeds of the thesis are multiples of."""
    import torch

    from ligero.command.project import PROJECT
    from ligero.efficiency.classifier import build_classifier
    from ligero.export.encoder import build
    from ligero.export.weights import Weights, outline_of
    from ligero.serving.predictor import GraphRunner
    from ligero.settings.models import Architecture
    from ligero.settings.yaml_files import read_yaml

    torch.set_num_threads(threads)
    known = read_yaml(PROJECT / "resources" / "sources.yaml")["hub_models"]
    shape = Architecture(**known["dccuchile/bert-base-spanish-wwm-uncased"]["architecture"])
    model = build_classifier(shape, 3)
    with TemporaryDirectory() as name:
        model.save_pretrained(name)  # type: ignore[operator]
        outline = outline_of(Path(name), "sequence_classification")
        graph = build(outline, Weights(Path(name))).SerializeToString()
    exported = GraphRunner(graph, 0, True, threads)
    model.set_attn_implementation("eager")  # type: ignore[operator]

    def within(features: Sequence[Feature]) -> list[Feature]:
        return [
            Feature([token % (shape.vocab_size or 1) for token in f.tokens], f.segments) for f in features
        ]

    def eager(features: Sequence[Feature]) -> object:
        from ligero.serving.predictor import model_inputs

        tensors = {key: torch.from_numpy(value) for key, value in model_inputs(within(features), 0).items()}
        with torch.inference_mode():
            return model(**tensors)

    return {BETO_EAGER: eager, BETO_EXPORTED: lambda features: exported.run(within(features))}


def _printed(conditions: dict[str, object], rows: list[Row], starts: list[Start]) -> list[str]:
    """Two tables for people."""
    lines = [f"{key}: {value}" for key, value in conditions.items()]
    width = max(len(row["engine"]) for row in rows)
    for given, batch in dict.fromkeys((row["input"], row["batch"]) for row in rows):
        lines += ["", f"{given}, batch {batch}"]
        lines.append(
            f"  {'':{width}}  {'ms per text':>10}  {'quartiles':>18}  {'texts/s':>9}  {'over eager':>10}"
        )
        for row in rows:
            if (row["input"], row["batch"]) != (given, batch):
                continue
            spread = f"{row['quartile_low']:.3f} to {row['quartile_high']:.3f}"
            over = "-" if row["over_eager"] is None else f"{row['over_eager']:.1f}x"
            joules = "" if row["joules"] is None else f"  {row['joules']:.4f} J"
            lines.append(
                f"  {row['engine']:{width}}  {row['milliseconds']:10.3f}  {spread:>18}  {row['texts_per_second']:9.1f}  {over:>10}{joules}"
            )
    lines += ["", f"  {'':{width}}  {'file MB':>8}  {'cold start s':>12}  {'peak MB':>8}"]
    for start in starts:
        peak = "-" if start["peak_megabytes"] is None else f"{start['peak_megabytes']:.0f}"
        lines.append(
            f"  {start['engine']:{width}}  {start['file_megabytes']:8.2f}  {start['cold_start_seconds']:12.2f}  {peak:>8}"
        )
    return lines
