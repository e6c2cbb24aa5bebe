"""Score against each cost with the reference front: who beats what fine-tuning alone gives at the same cost."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ligero.reporting.figures.style import BLUE, GREY, ORANGE, new_panels, set_cost_axis, with_prefix
from ligero.reporting.records import Measured
from ligero.reporting.results import Results

AXIS_NAMES = {
    "macs": "MACs of one input",
    "milliseconds": "milliseconds of one input (CPU)",
    "bytes": "bytes of the weights",
}
LOOKS = {"fine-tuning": ("fine-tuned", BLUE, "o"), "distillation": ("distilled", ORANGE, "s")}


def tradeoff(results: Results, task: str | None = None) -> Figure:
    """A panel for each cost; of one task, or of all."""
    found = [measured for measured in results.tradeoff if measured["task"] == task]
    title = f"{results.study.tasks[task].name if task else 'All tasks'}: score at equal cost"
    figure, panels = new_panels(results.study, title, len(found))
    for axes, measured in zip(panels, found, strict=True):
        _draw(axes, measured)
    panels[0].set_ylabel("score on the test set, in percent")
    handles = {
        label: handle
        for axes in panels
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=4, fontsize=7.5, frameon=False
    )
    return figure


def _draw(axes: Axes, measured: Measured) -> None:
    systems = measured["systems"]
    front = sorted((system["cost"], system["score"][0]) for system in systems if system["in_reference"])
    axes.plot(
        [cost for cost, _ in front], [score for _, score in front], color=GREY, linewidth=1.0, linestyle="--",
        label="reference front", zorder=1,
    )  # fmt: skip
    for regime, (label, colour, marker) in LOOKS.items():
        for efficient in (True, False):
            chosen = [s for s in systems if s["regime"] == regime and s["efficient"] == efficient]
            if not chosen:
                continue
            scores = [system["score"] for system in chosen]
            axes.errorbar(
                [system["cost"] for system in chosen],
                [value for value, _, _ in scores],
                yerr=[[max(value - low, 0) for value, low, _ in scores], [max(high - value, 0) for value, _, high in scores]],
                fmt=marker, color=colour, markerfacecolor=colour if efficient else "white", markersize=5, elinewidth=0.7,
                linewidth=0, label=label if efficient else f"{label}, beaten", zorder=3,
            )  # fmt: skip
    plain = measured["axis"] == "milliseconds"
    set_cost_axis(
        axes, [s["cost"] for s in systems], lambda value, _: f"{value:g}" if plain else with_prefix(value)
    )
    axes.set_xlabel(AXIS_NAMES[measured["axis"]], fontsize=8)
    axes.tick_params(axis="x", which="both", labelsize=7)
    axes.margins(x=0.1, y=0.1)
