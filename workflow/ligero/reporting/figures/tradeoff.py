"""Score against cost: what a system reaches for the operations or the time that it takes."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.figure import Figure

from ligero.efficiency.records import Device
from ligero.reporting.figures.labels import Label, place_labels
from ligero.reporting.figures.marks import (
    FAMILY,
    INTERVAL,
    OPEN,
    System,
    add_legend,
    colour_of,
    draw_published,
    draw_system,
)
from ligero.reporting.figures.style import new_figure, set_cost_axis, with_prefix
from ligero.reporting.looks import label_of
from ligero.reporting.published import published_score
from ligero.reporting.results import Results
from ligero.settings import plan
from ligero.settings.study import Study
from ligero.tasks.metrics import HEADLINE

METRIC_NAMES = {"accuracy": "accuracy", "f1": "F1"}


def score_against_macs(results: Results, task: str | None = None) -> Figure:
    """Score, or the metric of one task, against MACs of one input; published scores beside them where the scales agree."""
    study = results.study
    tokens = study.efficiency.sequence_length
    return _figure(
        results,
        task,
        f"{study.tasks[task].name} against operations" if task else "Score against operations",
        f"multiply-accumulate operations of one input of {tokens} tokens (thop's count), logarithmic",
        lambda system: float(results.efficiency[system]["macs"]),
        with_prefix,
        published=study.scale == "thesis",
    )


def score_against_latency(results: Results) -> Figure:
    """Score against the measured time of one input, on the GPU where there was one, else on the CPU."""
    conditions = results.speed_conditions
    device: Device = "gpu" if conditions["gpu"] else "cpu"
    threads = f", threads: {conditions['cpu_threads']}" if device == "cpu" else ""

    def milliseconds(system: System) -> float:
        latency = results.speed[system][device]
        assert latency, "where conditions name a GPU, every system was timed on it"
        return 1000 * latency["median_seconds"]

    return _figure(
        results,
        None,
        "Score against measured latency",
        f"milliseconds for one input of {conditions['sequence_length']} tokens on {conditions[device]}{threads}, logarithmic",
        milliseconds,
        lambda value: f"{value:g}",
        published=False,
    )


def _figure(
    results: Results,
    task: str | None,
    title: str,
    cost_name: str,
    cost_of: Callable[[System], float],
    tick: Callable[[float], str],
    published: bool,
) -> Figure:
    study = results.study
    figure, axes = new_figure(study, title)
    scores = results.intervals(task)
    costs = {system: cost_of(system) for system in scores}
    for system, score in scores.items():
        draw_system(axes, study, system, costs[system], score)
        printed = published_score(study, *system, task) if published else None
        if printed is not None:
            draw_published(axes, study, system, costs[system], printed)
    lines = [
        [(costs[system], scores[system].value) for system in family] for family in _families(study, costs)
    ]
    for line in lines:
        axes.plot(
            [x for x, _ in line],
            [y for _, y in line],
            color=FAMILY.get_color(),
            linewidth=FAMILY.get_linewidth(),
            linestyle=FAMILY.get_linestyle(),
            zorder=1,
        )
    set_cost_axis(axes, tick)
    axes.set_xlabel(cost_name)
    axes.set_ylabel(_score_name(study, task))
    axes.margins(x=0.12, y=0.08)
    joined = [FAMILY] if any(len(line) > 1 for line in lines) else []
    add_legend(figure, study, scores, INTERVAL, *joined, *([OPEN] if published else []))
    labels = [
        Label(costs[system], score.value, label_of(study, *system), colour_of(study, system))
        for system, score in scores.items()
    ]
    bars = [[(costs[system], score.low), (costs[system], score.high)] for system, score in scores.items()]
    place_labels(figure, axes, labels, [*lines, *bars])
    return figure


def _families(study: Study, costs: dict[System, float]) -> list[list[System]]:
    """Students of one initial model, from the cheapest to the dearest: a line joins them."""
    students = sorted(
        (system for system in costs if system[0] == "distillation"), key=lambda system: costs[system]
    )
    initials = {plan.initial_model(study, *student): None for student in students}
    return [[s for s in students if plan.initial_model(study, *s) == initial] for initial in initials]


def _score_name(study: Study, task: str | None) -> str:
    if task is None and len(study.tasks) > 1:
        return f"mean score on {len(study.tasks)} test sets, in percent"
    metric = study.tasks[task or next(iter(study.tasks))].metric
    return f"{METRIC_NAMES[HEADLINE[metric]]} on the test set, in percent"
