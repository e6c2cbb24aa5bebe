"""Score against cost: what a system reaches for the operations or the time that it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ligero.efficiency.records import Device
from ligero.reporting.figures.labels import Label, place_labels
from ligero.reporting.figures.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    new_figure,
    set_cost_axis,
    with_prefix,
)
from ligero.reporting.results import Results, Row
from ligero.settings import plan
from ligero.settings.study import Study
from ligero.tasks.metrics import HEADLINE

FAMILIES = {
    "albert": ("ALBERT, fine-tuned", BLUE, "o"),
    "bert": ("BERT, fine-tuned", GREEN, "o"),
    "distilbert": ("DistilBERT, fine-tuned", GREY, "o"),
    "roberta": ("RoBERTa, fine-tuned", PURPLE, "o"),
}
STUDENTS = ("distilled students", ORANGE, "s")
METRIC_NAMES = {"accuracy": "Accuracy", "f1": "F1"}


@dataclass(frozen=True)
class Point:
    """A system in the plane."""

    row: Row
    cost: float
    score: float


def score_against_macs(results: Results, task: str | None = None) -> Figure:
    """Score, or the metric of one task, against MACs of one input."""
    study = results.study
    tokens = study.efficiency.sequence_length
    title = f"{study.tasks[task].name} against operations" if task else "Score against operations"
    return _figure(
        results,
        task,
        title,
        f"multiply-accumulate operations of one input of {tokens} tokens (thop's count)",
        lambda row: float(results.efficiency[row.regime, row.model]["macs"]),
        lambda value, _: with_prefix(value),
    )


def score_against_latency(results: Results) -> Figure:
    """Score against the measured time of one input, on the GPU where there was one, else on the CPU."""
    conditions = results.speed_conditions
    device: Device = "gpu" if conditions["gpu"] else "cpu"
    threads = f", threads: {conditions['cpu_threads']}" if device == "cpu" else ""

    def milliseconds(row: Row) -> float:
        latency = results.speed[row.regime, row.model][device]
        assert latency, "where conditions name a GPU, every system was timed on it"
        return 1000 * latency["median_seconds"]

    return _figure(
        results,
        None,
        "Score against measured latency",
        f"milliseconds for one input of {conditions['sequence_length']} tokens on {conditions[device]}{threads}",
        milliseconds,
        lambda value, _: f"{value:g}",
    )


def _figure(
    results: Results,
    task: str | None,
    title: str,
    cost_name: str,
    cost_of: Callable[[Row], float],
    tick: Callable[[float, int], str],
) -> Figure:
    study = results.study
    figure, axes = new_figure(study, title)
    points = _points(results, [task] if task else list(study.tasks), cost_of)
    lines = _draw_points(axes, study, points)
    set_cost_axis(axes, [point.cost for point in points], tick)
    axes.set_xlabel(cost_name)
    axes.set_ylabel(_score_name(study, task))
    axes.margins(x=0.12, y=0.12)
    figure.legend(loc="outside lower center", ncols=len(FAMILIES) + 1, fontsize=7.5, frameon=False)
    place_labels(
        figure,
        axes,
        [Label(point.cost, point.score, point.row.name, _look(study, point.row)[1]) for point in points],
        lines,
    )
    return figure


def _points(results: Results, tasks: list[str], cost_of: Callable[[Row], float]) -> list[Point]:
    scores = results.scores(tasks)
    return [
        Point(
            row,
            cost_of(row),
            sum(scores[row.regime, row.model, task]["score"] for task in tasks) / len(tasks),
        )
        for row in results.rows()
        if not row.left_out
    ]


def _draw_points(axes: Axes, study: Study, points: list[Point]) -> list[list[tuple[float, float]]]:
    """Points by family; students of one initial model are joined, from the cheapest to the dearest. Returns these lines."""
    looks = {_look(study, point.row): None for point in points}
    for name, colour, marker in looks:
        chosen = [point for point in points if _look(study, point.row) == (name, colour, marker)]
        axes.scatter(
            [point.cost for point in chosen],
            [point.score for point in chosen],
            s=34,
            color=colour,
            marker=marker,
            label=name,
            edgecolors="white",
            linewidths=0.6,
            zorder=3,
        )
    students = sorted((point for point in points if point.row.regime == "distillation"), key=lambda p: p.cost)
    lines = [
        [(point.cost, point.score) for point in students if _initial(study, point.row) == initial]
        for initial in {_initial(study, point.row): None for point in students}
    ]
    for line in lines:
        axes.plot(
            [cost for cost, _ in line], [score for _, score in line], color=ORANGE, linewidth=0.8, alpha=0.5
        )
    return lines


def _look(study: Study, row: Row) -> tuple[str, str, str]:
    if row.regime == "distillation":
        return STUDENTS
    return FAMILIES[study.models[row.model].architecture.type]


def _initial(study: Study, row: Row) -> str:
    return plan.initial_model(study, row.regime, row.model)


def _score_name(study: Study, task: str | None) -> str:
    if task is None:
        return f"score: mean of {len(study.tasks)} tasks, in percent"
    metric = study.tasks[task].metric
    return f"{METRIC_NAMES[HEADLINE[metric]]} on the test set, in percent"
