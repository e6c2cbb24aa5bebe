"""How figures look, and how they are written so that the same figures give the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from ligero.common.files import atomic_path
from ligero.settings.study import Study

# Okabe and Ito (2008): distinguishable with any colour vision.
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8C8C8C"

SIZE = (8.0, 5.0)
"""Inches."""

SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that every machine draws the same
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "svg.hashsalt": "ligero",  # ids inside the file would be random otherwise
    "svg.fonttype": "path",
}


NARROW, VERY_NARROW = 8.0, 3.0
"""Costs whose largest is less than this many times the smallest get more ticks, or ticks at equal distances."""


def new_figure(study: Study, title: str) -> tuple[Figure, Axes]:
    """A figure with one pair of axes; its title states the study's scale."""
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(_titled(title, study), loc="left", fontsize=11)
    return figure, axes


def _titled(title: str, study: Study) -> str:
    """A title with the study's scale; a study of the user's own needs none."""
    return title if study.scale == "own" else f"{title}  ({study.scale})"


def new_panels(study: Study, title: str, number: int) -> tuple[Figure, list[Axes]]:
    """A figure with several pairs of axes side by side and one scale of heights; its title states the study's scale."""
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=SIZE, layout="constrained")
        panels = figure.subplots(1, number, sharey=True)
        panels[0].set_title(_titled(title, study), loc="left", fontsize=11)
    return figure, list(panels)


def set_cost_axis(axes: Axes, costs: Sequence[float], tick: Callable[[float, int], str]) -> None:
    """A logarithmic axis of costs: few ticks, more of them where the costs are near each other.

    Args:
        tick: from a value and its place to its label.
    """
    axes.set_xscale("log")
    ratio = max(costs) / min(costs)
    if ratio < VERY_NARROW:
        axes.xaxis.set_major_locator(MaxNLocator(4))
    else:
        axes.xaxis.set_major_locator(
            LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0) if ratio < NARROW else (1.0, 2.0, 5.0))
        )
    axes.xaxis.set_major_formatter(FuncFormatter(tick))
    axes.xaxis.set_minor_formatter(NullFormatter())


def with_prefix(value: float) -> str:
    """An amount with the prefix of its magnitude: 43.5 G."""
    for size, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g} {prefix}"
    return f"{value:g}"


def write_svg(figure: Figure, path: Path) -> None:
    """Write a figure without date, so that it only changes when its data do."""
    with matplotlib.rc_context(SETTINGS), atomic_path(path) as temporary:
        FigureCanvasSVG(figure)
        figure.savefig(temporary, format="svg", metadata={"Date": None})
