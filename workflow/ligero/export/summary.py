"""All exports of a study in one table: what they score, weigh and take, and why an int8 graph is missing."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import TypedDict

from ligero.common.files import atomic_path
from ligero.common.records import write_listing
from ligero.serving.manifest import Manifest, Precision
from ligero.tasks.metrics import HEADLINE


class Row(TypedDict, total=False):
    """A graph, or why there is none."""

    regime: str
    model: str
    task: str
    precision: str
    reading: str
    metric: str
    test_score: float
    low: float
    high: float
    validation_drop: float
    drop_low: float
    drop_high: float
    bytes: int
    milliseconds: float | None
    timed_tokens: int | None
    milliseconds_at_full_depth: float
    threshold: float
    repetitions: float
    speedup: float
    speedup_low: float
    speedup_high: float
    largest_logit_difference: float
    step: str
    method: str
    in_fp32: str
    processor: str
    reason: str


def write_summary(folders: Iterable[Path], out: Path) -> None:
    """Write a CSV with two rows for each export, fp32 and int8; a refused int8 graph has only its reason.

    Columns: scores and drops in points, with 95 % intervals; `milliseconds` of a forward pass on a text of median length, which
    is `timed_tokens` long, with one thread, on `processor`.

    A model that learned to leave early has further rows, whose `reading` is `early exit` and not `full depth`: the `threshold` of certainty, mean `repetitions` of its
    layer on the test split, `milliseconds` of texts of the validation split, `timed_tokens` long on average,
    `milliseconds_at_full_depth` of the same texts in the graph without exits, and their ratio `speedup`; or the reason why early exit
    is not offered.

    Args:
        folders: exports/REGIME/MODEL/TASK.

    Raises:
        DamagedError: one of them holds the manifest of another.
    """
    with atomic_path(out) as path, path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(Row.__annotations__))
        writer.writeheader()
        for folder in folders:
            manifest = Manifest.read(folder)
            manifest.check_place(folder)
            writer.writerows(_rows(manifest))
    write_listing(out.with_suffix(".json"), [out.name])


def _rows(manifest: Manifest) -> Iterable[Row]:
    precisions: tuple[Precision, ...] = ("fp32", "int8")
    place: Row = {
        "regime": manifest.regime,
        "model": manifest.model,
        "task": manifest.task,
        "processor": " ".join([manifest.processor["name"], *manifest.processor["flags"]]),
    }
    for precision in precisions:
        row: Row = {**place, "precision": precision, "reading": "full depth"}
        graph, score = manifest.graphs.get(precision), manifest.scores.get(precision)
        if graph and score:
            row["metric"], row["test_score"] = manifest.metric, score["score"]
            row["low"], row["high"] = score["intervals"][HEADLINE[manifest.metric]]
            row["bytes"], row["milliseconds"] = graph.bytes, graph.milliseconds
            row["timed_tokens"] = graph.timed_tokens
        int8 = manifest.int8
        if precision == "fp32":
            row["largest_logit_difference"] = manifest.parity["largest_difference"]
        elif "drop" in int8:
            row["validation_drop"] = int8["drop"]
            row["drop_low"], row["drop_high"] = int8["drop_interval"]
            row["step"], row["method"] = int8["step"], int8["method"]
            row["in_fp32"] = " ".join(int8["in_fp32"])
        if precision == "int8" and "reason" in int8:
            row["reason"] = int8["reason"]
        yield row
    for precision, exits in manifest.exits.items():
        early: Row = {**place, "precision": precision, "reading": "early exit"}
        if exits["accepted"]:
            early["metric"], early["test_score"] = manifest.metric, exits["test"]["score"]
            early["low"], early["high"] = exits["test"]["intervals"][HEADLINE[manifest.metric]]
            early["validation_drop"] = exits["drop"]
            early["drop_low"], early["drop_high"] = exits["drop_interval"]
            early["bytes"] = manifest.graphs[precision].bytes
            early["milliseconds"], early["timed_tokens"] = exits["milliseconds"], round(exits["timed_tokens"])
            early["milliseconds_at_full_depth"] = exits["milliseconds_at_full_depth"]
            early["threshold"] = exits["threshold"]
            early["repetitions"] = exits["test_repetitions"]
            early["speedup"] = exits["speedup"]
            early["speedup_low"], early["speedup_high"] = exits["speedup_interval"]
        else:
            early["reason"] = exits["reason"]
        yield early
