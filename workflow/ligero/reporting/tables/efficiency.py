"""Tables of what systems cost: parameters and MACs, and measured latency."""

from __future__ import annotations

import pandas as pd

from ligero.efficiency.records import DEVICES, Latency
from ligero.efficiency.truncation import thesis_arithmetic_applies
from ligero.reporting.frames import Cells, joined, printed, table
from ligero.reporting.names import beside_the_thesis
from ligero.reporting.results import Results


def efficiency(results: Results) -> pd.DataFrame:
    """Parameters, MACs as thop counts them, both speedups, bytes on disk, and MACs with those of attention."""
    reference = results.efficiency["fine-tuning", results.study.efficiency.reference]
    whole = reference["macs"] + reference["attention_macs"]
    printable = thesis_arithmetic_applies(cost["macs"] for cost in results.efficiency.values())
    shown = beside_the_thesis(results.study)
    too_small = (
        None
        if printable or not shown
        else "thesis_speedup: models below 1 GMAC have no digits left in its arithmetic"
    )
    rows = []
    for row in results.rows():
        cells: Cells = {}
        if not row.left_out:
            cost = results.efficiency[row.regime, row.model]
            full = cost["macs"] + cost["attention_macs"]
            cells = {
                "parameters": cost["parameters"],
                "macs": cost["macs"],
                "speedup": cost["speedup"],
                "bytes": cost["bytes"],
                "vocabulary_size": cost["vocabulary_size"],
                "thesis_speedup": cost["thesis_speedup"] if printable and shown else None,
                "macs_with_attention": full,
                "speedup_with_attention": whole / full,
            }
        rows.append(
            {"regime": row.regime, "model": row.name, **cells, "notes": joined([row.left_out, too_small])}
        )
    columns = [
        "regime",
        "model",
        "parameters",
        "macs",
        "speedup",
        "thesis_speedup",
        "bytes",
        "macs_with_attention",
        "speedup_with_attention",
        "vocabulary_size",
    ]
    return table(columns, rows, results.study.scale)


def inference_speed(results: Results) -> pd.DataFrame:
    """Inferences per second on the devices of the measuring machine, and the conditions."""
    conditions = results.speed_conditions
    reference = results.speed["fine-tuning", results.study.efficiency.reference]
    no_gpu = None if conditions["gpu"] else "no GPU on the machine that measured"
    rows = []
    for row in results.rows():
        cells: Cells = {}
        if not row.left_out:
            timed = results.speed[row.regime, row.model]
            for device in DEVICES:
                if (latency := timed[device]) and (least := reference[device]):
                    cells |= _device_cells(device, latency, least)
        rows.append(
            {
                "regime": row.regime,
                "model": row.name,
                **cells,
                "cpu": conditions["cpu"],
                "cpu_threads": conditions["cpu_threads"],
                "gpu": conditions["gpu"],
                "sequence_length": conditions["sequence_length"],
                "engine": conditions["engine"],
                "date": conditions["date"],
                "notes": joined([row.left_out, no_gpu]),
            }
        )
    per_device = ("speedup", "median_ms", "runs_kept")
    columns = [
        "regime",
        "model",
        *(f"{device}_inferences_per_second" for device in DEVICES),
        *(f"{device}_{name}" for device in DEVICES for name in per_device),
        "cpu",
        "cpu_threads",
        "gpu",
        "sequence_length",
        "engine",
        "date",
    ]
    return table(columns, rows, results.study.scale)


def _device_cells(device: str, timed: Latency, reference: Latency) -> Cells:
    return {
        f"{device}_inferences_per_second": printed(timed["inferences_per_second"]),
        f"{device}_speedup": printed(reference["median_seconds"] / timed["median_seconds"]),
        f"{device}_median_ms": printed(1000 * timed["median_seconds"], 3),
        f"{device}_runs_kept": f"{timed['kept_runs']} of {timed['runs']}",
    }
