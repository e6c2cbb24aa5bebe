"""Tables of the trade-off between score and cost, from what `measure_tradeoff` measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from ligero.reporting.frames import Cells, interval, printed, table
from ligero.reporting.records import Axis, Figure, Measured
from ligero.reporting.results import Results
from ligero.reporting.tables.scores import WITHOUT_A_MODEL
from ligero.settings import plan
from ligero.tasks.metrics import HEADLINE
from ligero.tasks.records import ScoreRecord

COST_NAMES = {"macs": "MACs", "milliseconds": "milliseconds", "bytes": "bytes"}
OUTSIDE = "gain: its cost lies outside of the reference front"
FIGURES = ("score", "gain", "hypervolume", "retention")


def tradeoff(results: Results) -> pd.DataFrame:
    """One row per task (or all of them), cost and system; below the systems of each task what answers otherwise."""
    study = results.study
    rows: list[Cells] = []
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
        if measured["task"]:
            beside = [
                *_without_a_model(results, measured["task"]),
                *_leaving_early(results, measured["task"]),
            ]
            place: Cells = {"task": _task(results, measured), "cost": COST_NAMES[measured["axis"]]}
            rows += [{**place, **other.cells(measured["axis"])} for other in beside]
    figures = [column for name in FIGURES for column in (name, f"{name}_interval")]
    last = ["efficient", "efficient_probability", "reference_front"]
    return table(["task", "cost", "regime", "model", "amount", *figures, *last], rows, study.scale)


@dataclass(frozen=True)
class _Other:
    """What answers otherwise than a system in torch on inputs of one length; no figure is paired with it.

    Attributes:
        timed: on what; macs: why they are not counted, or how many of them are done.
        missing: why it was not measured.
    """

    regime: str
    model: str
    score: ScoreRecord | None = None
    milliseconds: float = 0.0
    bytes: int = 0
    timed: str = ""
    macs: str = ""
    missing: str | None = None

    def cells(self, axis: Axis) -> Cells:
        """Its row against a cost."""
        head: Cells = {"regime": self.regime, "model": self.model}
        if self.score is None:
            return {**head, "notes": f"not measured: {self.missing}"}
        cells: Cells = {**head, "score": printed(self.score["score"])}
        cells["score_interval"] = interval(self.score["intervals"][HEADLINE[self.score["metric"]]])
        if axis == "macs":
            return {**cells, "notes": self.macs}
        if axis == "bytes":
            return {**cells, "amount": self.bytes}
        return {**cells, "amount": printed(self.milliseconds, 3), "notes": self.timed}


def _without_a_model(results: Results, task: str) -> Iterator[_Other]:
    for instead in results.without_a_model([task]):
        found = instead.scored.get(task)
        if found is None:
            if task in instead.missing:
                yield _Other(WITHOUT_A_MODEL, instead.name, missing=instead.missing[task])
            continue
        yield _Other(
            WITHOUT_A_MODEL, found["name"], found, found["milliseconds"], found["bytes"],
            timed=f"a text of its own length; systems read {results.study.speed.sequence_length} tokens",
            macs="MACs are counted of neural networks only",
        )  # fmt: skip


def _leaving_early(results: Results, task: str) -> Iterator[_Other]:
    """Each graph of the systems that learned to leave early, at full depth and leaving early; the texts took turns."""
    for regime, model in plan.systems(results.study):
        if not plan.exits_early(results.study, regime, model):
            continue
        manifest = results.export(regime, model, task)
        for precision, exits in manifest.exits.items():
            name = f"{manifest.name}, ONNX {precision}"
            if not exits["accepted"]:
                yield _Other(
                    regime, f"{name}, early exit", missing=f"early exit is not offered, {exits['reason']}"
                )
                continue
            texts = f"texts of {exits['timed_tokens']:.0f} tokens on average, one thread"
            size = manifest.graphs[precision].bytes
            low, high = exits["speedup_interval"]
            yield _Other(
                regime, f"{name}, full depth", manifest.scores[precision], exits["milliseconds_at_full_depth"], size,
                timed=texts, macs=f"{exits['depth']} repetitions",
            )  # fmt: skip
            yield _Other(
                regime, f"{name}, early exit", exits["test"], exits["milliseconds"], size,
                timed=f"{texts}; {exits['speedup']:.2f} times ({low:.2f} to {high:.2f}) as fast as at full depth",
                macs=f"{exits['test_repetitions']:.1f} of {exits['depth']} repetitions of the layer on average",
            )  # fmt: skip


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
