"""Score against each cost with the reference front: who beats what fine-tuning alone gives at the same cost."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ligero.reporting.figures.labels import Label, place_labels
from ligero.reporting.figures.marks import INTERVAL, add_legend, colour_of, draw_system
from ligero.reporting.figures.style import new_panels, set_cost_axis, with_prefix
from ligero.reporting.looks import label_of
from ligero.reporting.records import Measured
from ligero.reporting.results import Results
from ligero.settings.study import Study

AXIS_NAMES = {
    "macs": "MACs of one input, logarithmic",
    "milliseconds": "milliseconds for one input (CPU), logarithmic",
    "bytes": "bytes of the weights, logarithmic",
}
SIZE = (10.5, 5.0)
"""Inches."""


def tradeoff(results: Results, task: str | None = None) -> Figure:
    """A panel for each cost; of one task, or of all. Systems that another beats are pale, the others have their names."""
    study = results.study
    found = [measured for measured in results.tradeoff if measured["task"] == task]
    title = f"{study.tasks[task].name if task else 'All tasks'}: score at equal cost"
    figure, panels = new_panels(study, title, len(found), SIZE)
    for axes, measured in zip(panels, found, strict=True):
        _draw(axes, study, measured)
    panels[0].set_ylabel(
        "score on the test set, in percent" if task else "mean score on the test sets, in percent"
    )
    front = Line2D(
        [], [], color="#555555", linewidth=1.0, linestyle="--", label="reference front of fine-tuned systems"
    )
    beaten = Line2D(
        [],
        [],
        color="#555555",
        marker="o",
        linestyle="none",
        alpha=0.35,
        label="pale: another system beats it",
    )
    add_legend(
        figure, study, [(s["regime"], s["model"]) for s in found[0]["systems"]], front, beaten, INTERVAL
    )
    for axes, measured in zip(panels, found, strict=True):
        _name(figure, axes, study, measured)
    return figure


def _front(measured: Measured) -> list[tuple[float, float]]:
    return sorted(
        (system["cost"], system["score"].value) for system in measured["systems"] if system["in_reference"]
    )


def _draw(axes: Axes, study: Study, measured: Measured) -> None:
    front = _front(measured)
    axes.plot(
        [cost for cost, _ in front],
        [score for _, score in front],
        color="#555555",
        linewidth=1.0,
        linestyle="--",
        zorder=1,
    )
    for system in measured["systems"]:
        key = (system["regime"], system["model"])
        draw_system(axes, study, key, system["cost"], system["score"], pale=not system["efficient"])
    plain = measured["axis"] == "milliseconds"
    set_cost_axis(axes, lambda value: f"{value:g}" if plain else with_prefix(value))
    axes.set_xlabel(AXIS_NAMES[measured["axis"]])
    axes.margins(x=0.12, y=0.08)


def _name(figure: Figure, axes: Axes, study: Study, measured: Measured) -> None:
    """The names of systems that no other beats."""
    labels = [
        Label(
            s["cost"],
            s["score"].value,
            label_of(study, s["regime"], s["model"]),
            colour_of(study, (s["regime"], s["model"])),
        )
        for s in measured["systems"]
        if s["efficient"]
    ]
    bars = [[(s["cost"], s["score"].low), (s["cost"], s["score"].high)] for s in measured["systems"]]
    place_labels(figure, axes, labels, [_front(measured), *bars])
