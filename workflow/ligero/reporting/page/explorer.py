"""Score against cost as the page explores it. Every answer to a budget is the one that `ligero recommend` gives: it is made by its rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import isnan, nan
from statistics import fmean
from typing import cast

import numpy as np

from ligero.efficiency.pareto import non_dominated
from ligero.efficiency.records import Device
from ligero.reporting.page.records import (
    Choice,
    ChoiceTable,
    Cost,
    CostId,
    Engine,
    Point,
    Step,
    SystemEntry,
    View,
)
from ligero.reporting.recommendation import Limits, System, measured_systems, ranked
from ligero.reporting.results import Results

MOST_BUDGETS = 4
"""Columns of the table of choices, beside the one without a limit."""


@dataclass(frozen=True)
class Axis:
    """An axis of cost.

    Attributes:
        of: a system's cost, or None where it was not measured.
        limit: a budget as a limit of `ligero recommend`.
    """

    of: Callable[[System], float | None]
    limit: Callable[[float], Limits]


AXES: dict[CostId, Axis] = {
    "milliseconds": Axis(lambda system: system.milliseconds, lambda budget: Limits(milliseconds=budget)),
    "megabytes": Axis(lambda system: system.megabytes, lambda budget: Limits(megabytes=budget)),
    "macs": Axis(lambda system: system.macs, lambda budget: Limits(macs=budget)),
}


@dataclass(frozen=True)
class Measurement:
    """All systems on one task (None: the mean of all), measured with one engine."""

    task: str | None
    engine: int
    systems: list[System]


def measurements(results: Results) -> tuple[list[Engine], list[Measurement]]:
    """The engines that anything was measured with, and every task with each of them, the mean first.

    With exports the first engine is what `ligero recommend` takes by default: each system as it was exported, where it was.
    """
    tasks = list(results.study.tasks)
    found = {task: measured_systems(results, task) for task in tasks}
    exported = {system.exported for systems in found.values() for system in systems}
    conditions = results.speed_conditions
    setting = f"{conditions['sequence_length']} tokens"
    threads = f"{conditions['cpu_threads']} thread{'s' if conditions['cpu_threads'] > 1 else ''}"
    torch = Engine(
        id="torch", name="CPU, PyTorch", conditions=f"{conditions['cpu']}, {threads}, {setting}, fp32"
    )
    engines, measured = [torch], [found]
    if True in exported:
        text = f"{conditions['cpu']}, 1 thread, a text of median length"
        if False in exported:
            text += f"; systems without an export: PyTorch, {threads}, {setting}"
        engines.insert(0, Engine(id="exported", name="CPU, as exported (ONNX)", conditions=text))
        measured.append({task: measured_systems(results, task, as_exported=False) for task in tasks})
    if conditions["gpu"]:
        engines.append(
            Engine(id="gpu", name="GPU, PyTorch", conditions=f"{conditions['gpu']}, {setting}, fp32")
        )
        device: Device = "gpu"
        measured.append({task: measured_systems(results, task, device) for task in tasks})
    all_measured = []
    for number, by_task in enumerate(measured):
        if len(tasks) > 1:
            all_measured.append(Measurement(None, number, _means(results, list(by_task.values()))))
        all_measured += [Measurement(task, number, systems) for task, systems in by_task.items()]
    return engines, all_measured


def _means(results: Results, by_task: Sequence[Sequence[System]]) -> list[System]:
    """Means over the tasks of scores, times and sizes. A score's interval is that of the trade-off, from paired resamples of the
    answers before export: with exports among them there is none. There is no mean time of exports and others: inputs differ.
    """
    intervals = results.intervals(None)
    means = []
    for systems in zip(*by_task, strict=True):
        exported = {system.exported for system in systems}
        times = [system.milliseconds for system in systems] if len(exported) == 1 else [None]
        low, high = (nan, nan) if True in exported else intervals[systems[0].regime, systems[0].model][1:]
        lengths = {system.tokens for system in systems}
        means.append(
            replace(
                systems[0],
                score=float(np.mean([system.score for system in systems])),
                low=low,
                high=high,
                megabytes=float(np.mean([system.megabytes for system in systems])),
                milliseconds=None if None in times else float(np.mean(cast(list[float], times))),
                tokens=lengths.pop() if len(lengths) == 1 and None not in times else None,
                engine=" / ".join(dict.fromkeys(system.engine for system in systems)),
                folder="",
            )
        )
    return means


def baseline_scores(results: Results) -> dict[str | None, float]:
    """Scores without a model, by task and (None) their mean."""
    found: dict[str | None, float] = {
        task: record["score"] for task, record in results.baselines(results.study.tasks).items()
    }
    return {None: fmean(found.values()), **found}


def learned(system: System, baseline: float) -> bool:
    """Whether its interval lies above the baseline's score; where it has none, its score."""
    return (system.score if isnan(system.low) else system.low) > baseline


def view(results: Results, measurement: Measurement, systems: Sequence[SystemEntry]) -> View:
    """A measurement with all its answers."""
    places = {(entry["regime"], entry["id"]): number for number, entry in enumerate(systems)}
    tasks, baseline = list(results.study.tasks), baseline_scores(results)[measurement.task]
    return {
        "task": None if measurement.task is None else tasks.index(measurement.task),
        "engine": measurement.engine,
        "points": [
            Point(
                system=places[found.regime, found.model],
                score=found.score,
                interval=None if isnan(found.low) else (found.low, found.high),
                learned=learned(found, baseline),
                milliseconds=found.milliseconds,
                tokens=found.tokens,
                megabytes=found.megabytes,
                macs=found.macs,
                engine=found.engine,
                exported=found.exported,
            )
            for found in measurement.systems
        ],
        "costs": [_cost(axis, measurement.systems) for axis in AXES],
    }


def _cost(axis: CostId, systems: list[System]) -> Cost:
    found = {
        number: cost for number, system in enumerate(systems) if (cost := AXES[axis].of(system)) is not None
    }
    efficient: list[int] = []
    if found:
        scores = np.array([systems[number].score for number in found], np.float64)
        kept = non_dominated(np.array(list(found.values()), np.float64), scores)
        efficient = [number for number, good in zip(found, kept, strict=True) if good]
    return {
        "id": axis,
        "steps": steps(axis, systems),
        "efficient": sorted(efficient, key=lambda number: found[number]),
    }


def steps(axis: CostId, systems: list[System]) -> list[Step]:
    """The answer to every budget: it changes only at a system's own cost. Below the first step no system keeps the budget."""
    budgets = sorted({cost for system in systems if (cost := AXES[axis].of(system)) is not None})
    found: list[Step] = []
    for budget in budgets:
        kept = ranked(systems, AXES[axis].limit(budget))
        best, second = kept[0], kept[1] if len(kept) > 1 else None
        answer = Step(
            budget=budget,
            best=systems.index(best),
            runner_up=systems.index(second) if second else None,
            tied=second is not None and second.high >= best.low,
        )
        if not found or {**found[-1], "budget": budget} != answer:
            found.append(answer)
    return found


def choices(
    results: Results, measured: Sequence[Measurement], systems: Sequence[SystemEntry]
) -> ChoiceTable | None:
    """The best system of each task within round limits of time, and without one; None where nothing was timed."""
    shown = [measurement for measurement in measured if measurement.engine == 0]
    budgets = round_budgets([s.milliseconds for m in shown for s in m.systems if s.milliseconds is not None])
    if not budgets:
        return None
    tasks = list(results.study.tasks)
    places = {(entry["regime"], entry["id"]): number for number, entry in enumerate(systems)}
    baselines = baseline_scores(results)

    def choice(measurement: Measurement, limits: Limits) -> Choice:
        kept = ranked(measurement.systems, limits)
        if not kept:
            return {"system": None, "score": None, "learned": False}
        best = kept[0]
        return {
            "system": places[best.regime, best.model],
            "score": best.score,
            "learned": learned(best, baselines[measurement.task]),
        }

    return {
        "cost": "milliseconds",
        "budgets": budgets,
        "tasks": [None if m.task is None else tasks.index(m.task) for m in shown],
        "cells": [
            [choice(m, limits) for limits in (*(Limits(milliseconds=b) for b in budgets), Limits())]
            for m in shown
        ],
    }


def round_budgets(times: Sequence[float]) -> list[float]:
    """Limits of 1, 2 or 5 times a power of ten that some, not all, of these times keep."""
    if not times:
        return []
    low, high = min(times), max(times)
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    limits = [round(factor * 10.0**power, 9) for power in powers for factor in (1, 2, 5)]
    useful = [limit for limit in limits if low <= limit < high] or [
        limit for limit in limits if limit >= high
    ][:1]
    if len(useful) <= MOST_BUDGETS:
        return useful
    return [useful[place] for place in np.linspace(0, len(useful) - 1, MOST_BUDGETS).round().astype(int)]
