"""All exports of a study in one table: what they score, weigh and take, and why an int8 graph is missing."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ligero.common.files import atomic_path
from ligero.serving.manifest import Manifest
from ligero.tasks.metrics import HEADLINE

COLUMNS = (
    "regime",
    "model",
    "task",
    "precision",
    "metric",
    "test_score",
    "low",
    "high",
    "validation_drop",
    "drop_low",
    "drop_high",
    "bytes",
    "milliseconds",
    "largest_logit_difference",
    "method",
    "layers_in_fp32",
    "processor",
    "reason",
)


def write_summary(folders: Iterable[Path], out: Path) -> None:
    """Write a CSV with two rows for each export, fp32 and int8; a refused int8 graph has only its reason.

    Columns: scores and drops in points, with 95 % intervals; `milliseconds` of a forward pass on a text of median length with
    one thread, on `processor`.
    """
    with atomic_path(out) as path, path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, COLUMNS)
        writer.writeheader()
        for folder in folders:
            writer.writerows(_rows(Manifest.read(folder)))


def _rows(manifest: Manifest) -> Iterable[dict[str, Any]]:
    for precision in ("fp32", "int8"):
        row: dict[str, Any] = {
            "regime": manifest.regime,
            "model": manifest.model,
            "task": manifest.task,
            "precision": precision,
            "processor": " ".join([manifest.processor["name"], *manifest.processor["flags"]]),
        }
        graph, score = manifest.graphs.get(precision), manifest.scores.get(precision)
        if graph and score:
            low, high = score["intervals"][HEADLINE[manifest.metric]]
            row |= {"metric": manifest.metric, "test_score": score["score"], "low": low, "high": high}
            row |= {"bytes": graph.bytes, "milliseconds": graph.milliseconds}
        if precision == "fp32":
            row["largest_logit_difference"] = manifest.parity["largest_difference"]
        elif "drop" in manifest.int8:
            row["validation_drop"] = manifest.int8["drop"]
            row["drop_low"], row["drop_high"] = manifest.int8["drop_interval"]
            row["method"] = manifest.int8["method"]
            row["layers_in_fp32"] = " ".join(map(str, manifest.int8["layers_in_fp32"]))
        if precision == "int8":
            row["reason"] = manifest.int8.get("reason", "")
        yield row
