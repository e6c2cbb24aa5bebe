"""Systems as marks: the colour of their architecture, the shape of their kind, their 95 % interval, and one legend for both."""

from __future__ import annotations

from collections.abc import Iterable

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ligero.reporting.looks import LOOKS, MARKERS, architecture_of, shape_of
from ligero.reporting.records import Figure as Score
from ligero.settings.study import Regime, Study

System = tuple[Regime, str]
SIZE = 6.0
"""Points across a mark."""


def colour_of(study: Study, system: System) -> str:
    return LOOKS[architecture_of(study, *system)].colour


def draw_system(
    axes: Axes, study: Study, system: System, cost: float, score: Score, pale: bool = False
) -> None:
    """A measured system: a filled mark with its interval; `pale` if others beat it."""
    value, low, high = score
    axes.errorbar(
        [cost],
        [value],
        yerr=[[max(value - low, 0)], [max(high - value, 0)]],
        fmt=MARKERS[shape_of(study, *system)],
        color=colour_of(study, system),
        markersize=SIZE,
        markeredgecolor="white",
        markeredgewidth=0.6,
        elinewidth=0.9,
        alpha=0.45 if pale else 1.0,
        zorder=2 if pale else 3,
    )


def draw_published(axes: Axes, study: Study, system: System, cost: float, score: float) -> None:
    """A score of the thesis, where the scales agree: an open mark."""
    axes.plot(
        [cost],
        [score],
        marker=MARKERS[shape_of(study, *system)],
        color=colour_of(study, system),
        markersize=SIZE + 1,
        markerfacecolor="none",
        linestyle="none",
        zorder=4,
    )


def add_legend(figure: Figure, study: Study, systems: Iterable[System], *further: Line2D) -> None:
    """Below the figure: every kind of system that it shows, then further lines, in as few rows as its width allows."""
    kinds: dict[tuple[str, str], Line2D] = {}
    for system in systems:
        look, marker = LOOKS[architecture_of(study, *system)], MARKERS[shape_of(study, *system)]
        regime = "distilled" if system[0] == "distillation" else "fine-tuned"
        kinds.setdefault(
            (look.colour, marker),
            Line2D(
                [],
                [],
                color=look.colour,
                marker=marker,
                markersize=SIZE,
                linestyle="none",
                label=f"{look.name}, {regime}",
            ),
        )
    handles = [*kinds.values(), *further]
    renderer = FigureCanvasAgg(figure).get_renderer()
    for columns in range(len(handles), 0, -1):
        legend = figure.legend(
            handles=handles, loc="outside lower center", ncols=columns, fontsize=7.5, frameon=False
        )
        if columns == 1 or legend.get_window_extent(renderer).width <= figure.bbox.width:
            return
        legend.remove()


FAMILY = Line2D(
    [], [], color="#777777", linewidth=0.8, linestyle="--", label="students of one model, by cost"
)
OPEN = Line2D(
    [],
    [],
    color="#555555",
    marker="o",
    markersize=SIZE + 1,
    markerfacecolor="none",
    linestyle="none",
    label="published",
)
INTERVAL = Line2D(
    [],
    [],
    color="#555555",
    marker="|",
    markersize=9,
    markeredgewidth=0.9,
    linestyle="none",
    label="95 % interval",
)
