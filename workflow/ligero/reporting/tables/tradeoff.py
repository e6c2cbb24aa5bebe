"""Tables of the trade-off between score and cost, from what `measure_tradeoff` measured."""

from __future__ import annotations

import pandas as pd

from ligero.reporting.frames import interval, printed, table
from ligero.reporting.records import Figure, Measured
from ligero.reporting.results import Results
from ligero.settings import plan

COST_NAMES = {"macs": "MACs", "milliseconds": "milliseconds", "bytes": "bytes"}
OUTSIDE = "gain: its cost lies outside of the reference front"
FIGURES = ("score", "gain", "hypervolume", "retention")


def tradeoff(results: Results) -> pd.DataFrame:
    """One row per task (or all of them), cost and system."""
    study = results.study
    rows = []
    for measured in results.tradeoff:
        for system in measured["systems"]:
            gain = system["gain"]
            rows.append(
                {
                    "task": _task(results, measured),
                    "cost": COST_NAMES[measured["axis"]],
                    "regime": system["regime"],
                    "model": plan.system_name(study, system["regime"], system["model"]),
                    "amount": _amount(measured["axis"], system["cost"]),
                    **_cells("score", system["score"]),
                    **_cells("gain", gain),
                    **_cells("hypervolume", system["contribution"]),
                    **_cells("retention", system["retention"]),
                    "efficient": "yes" if system["efficient"] else "no",
                    "efficient_probability": printed(system["probability"]),
                    "reference_front": "yes" if system["in_reference"] else None,
                    "notes": OUTSIDE if gain is None else None,
                }
            )
    figures = [column for name in FIGURES for column in (name, f"{name}_interval")]
    last = ["efficient", "efficient_probability", "reference_front"]
    return table(["task", "cost", "regime", "model", "amount", *figures, *last], rows, study.scale)


def retention(results: Results) -> pd.DataFrame:
    """The cheapest system that keeps a share of the teacher's score."""
    study = results.study
    rows = []
    for measured in results.tradeoff:
        for found in measured["retaining"]:
            model = (
                plan.system_name(study, found["regime"], found["model"])
                if found["regime"] and found["model"]
                else None
            )
            rows.append(
                {
                    "task": _task(results, measured),
                    "cost": COST_NAMES[measured["axis"]],
                    "kept": f"{100 * found['share']:.0f} %",
                    "regime": found["regime"],
                    "model": model,
                    "times_cheaper": printed(found["saving"]),
                    "probability": printed(found["probability"]),
                    "notes": None if model else "no system keeps as much",
                }
            )
    columns = ["task", "cost", "kept", "regime", "model", "times_cheaper", "probability"]
    return table(columns, rows, study.scale)


def _task(results: Results, measured: Measured) -> str:
    task = measured["task"]
    return results.study.tasks[task].name if task else "all"


def _amount(axis: str, cost: float) -> str | int:
    return str(printed(cost, 3)) if axis == "milliseconds" else round(cost)


def _cells(name: str, figure: Figure | None) -> dict[str, str | None]:
    if figure is None:
        return {name: None, f"{name}_interval": None}
    return {name: printed(figure.value), f"{name}_interval": interval(figure[1:])}
