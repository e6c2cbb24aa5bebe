"""The finished study of early exit as rows: what each way of answering scores, where texts leave, and what a text takes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ligero.command.systems import open_results
from ligero.reporting.results import Results
from ligero.serving.manifest import Manifest, Precision
from ligero.serving.predictor import Predictor
from ligero.settings.jobs import TaskSpec
from ligero.tasks.bootstrap import bootstrap
from ligero.tasks.metrics import HEADLINE
from ligero.tasks.records import ScoreRecord
from ligero.training.scoring import Examples

TASK = "texts"
PLACES = (("fine-tuning", "albert"), ("distillation", "exits"), ("distillation", "shallow"))
PRECISIONS: tuple[Precision, ...] = ("fp32", "int8")
COLUMNS = (
    "data", "system", "answers with", "accuracy", "95 % interval", "MB", "ms", "as fast as the teacher in fp32", "as itself at full depth",
    "threshold", "repetitions", "texts that leave after each repetition, in %", "notes",
)  # fmt: skip


@dataclass(frozen=True)
class Contender:
    """One way of answering.

    Attributes:
        reading: `full depth`, or `early exit`.
        score: on the test split.
        refused: why it is not offered; then nothing is timed.
    """

    folder: Path
    manifest: Manifest
    precision: Precision
    reading: str
    score: ScoreRecord | None
    refused: str = ""

    def predictor(self) -> Predictor:
        return Predictor(
            self.folder, precision=self.precision, threads=1, full_depth=self.reading == "full depth"
        )


def measure(data: str, folder: Path, count: int, turns: int) -> list[tuple[Any, ...]]:
    """A row for each way of answering, and one for each model without context.

    All graphs answer the same `count` test texts, from the shortest to the longest, one text at a time with one thread, and take turns;
    a text's time is the median of its `turns`. Ratios of mean times have the interval of the bootstrap over texts.
    """
    results = open_results(folder)
    task = TaskSpec.of(results.study.tasks[TASK])
    texts: list[str] = Examples.load(folder / "results" / "tasks" / TASK / "test.parquet", task.type).columns[
        "text"
    ]
    contenders = list(_contenders(folder))
    timed = [contender for contender in contenders if not contender.refused]
    predictors = [contender.predictor() for contender in timed]
    ordered = sorted(texts, key=len)
    some = [ordered[place] for place in np.linspace(0, len(texts) - 1, count).round().astype(int).tolist()]
    times = dict(zip(map(id, timed), seconds(predictors, some, turns), strict=True))
    first = times[id(timed[0])]
    lines = []
    for contender in contenders:
        if contender.refused:
            lines.append(_line(data, contender, notes=contender.refused))
            continue
        own = times[id(contender)]
        cells = [f"{1000 * own.mean():.3f}", _times(own, first), ""]
        if contender.reading == "early exit":
            exits = contender.manifest.exits[contender.precision]
            assert exits["accepted"]
            left = Counter(answer["repetitions"] for answer in contender.predictor().predict(texts))
            shares = " ".join(f"{100 * left[n] / len(texts):.0f}" for n in range(1, exits["depth"] + 1))
            cells[-1] = _times(own, times[id(_at_full_depth(contender, timed))])
            cells += [f"{exits['threshold']:g}", f"{exits['test_repetitions']:.1f}", shares]
        lines.append(_line(data, contender, *cells))
    return [*lines, *_without_context(data, results)]


def _at_full_depth(contender: Contender, others: list[Contender]) -> Contender:
    place = (contender.folder, contender.precision, "full depth")
    return next(one for one in others if (one.folder, one.precision, one.reading) == place)


def _times(own: NDArray[np.float64], other: NDArray[np.float64]) -> str:
    """How many times as fast as another, over all texts, [texts] each, with its interval."""
    ((low, high),) = bootstrap(np.stack([own, other], axis=1), [lambda sums: sums[:, 1] / sums[:, 0]])
    return f"{other.mean() / own.mean():.2f} ({low:.2f} to {high:.2f})"


def _contenders(folder: Path) -> Iterator[Contender]:
    for regime, system in PLACES:
        export = folder / "results" / "exports" / regime / system / TASK
        manifest = Manifest.read(export)
        for precision in PRECISIONS:
            if precision not in manifest.graphs:
                reason = manifest.int8.get("reason", "")
                yield Contender(export, manifest, precision, "full depth", None, str(reason))
                continue
            yield Contender(export, manifest, precision, "full depth", manifest.scores[precision])
            if exits := manifest.exits.get(precision):
                score, reason = (exits["test"], "") if exits["accepted"] else (None, exits["reason"])
                yield Contender(export, manifest, precision, "early exit", score, reason)


def seconds(predictors: list[Predictor], texts: list[str], turns: int) -> NDArray[np.float64]:
    """Median time of each text alone, from the string to its label, [predictors, texts]; all answer a text before it is asked again."""
    found = np.empty((len(predictors), len(texts)))
    for place, text in enumerate(texts):
        times: list[list[float]] = [[] for _ in predictors]
        for _ in range(turns + 1):
            for taken, predictor in zip(times, predictors, strict=True):
                start = time.perf_counter()
                list(predictor.predict([text]))
                taken.append(time.perf_counter() - start)
        found[:, place] = [median(taken[1:]) for taken in times]  # the first warms up
    return found


def _line(data: str, contender: Contender, *cells: str, notes: str = "") -> tuple[Any, ...]:
    way = f"{contender.precision}, {contender.reading}"
    if contender.score is None:
        return (data, contender.manifest.name, way, *[""] * (len(COLUMNS) - 4), notes)
    size = f"{contender.manifest.graphs[contender.precision].bytes / 1e6:.2f}"
    known = (data, contender.manifest.name, way, *_score(contender.score), size, *cells)
    return (*known, *[""] * (len(COLUMNS) - len(known) - 1), notes)


def _score(record: ScoreRecord) -> tuple[str, str]:
    low, high = record["intervals"][HEADLINE[record["metric"]]]
    return f"{record['score']:.1f}", f"{low:.1f} to {high:.1f}"


def _without_context(data: str, results: Results) -> Iterator[tuple[Any, ...]]:
    """N-grams and static embeddings: milliseconds are the processor's, of other texts, so that no ratio is given."""
    for instead in results.without_a_model([TASK]):
        record = instead.scored[TASK]
        known = (
            data,
            record["name"],
            "scikit-learn",
            *_score(record),
            f"{record['bytes'] / 1e6:.2f}",
            f"{record['milliseconds']:.3f}",
        )
        yield (*known, *[""] * (len(COLUMNS) - len(known)))
