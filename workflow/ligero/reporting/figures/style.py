"""How figures look, and how they are written so that the same figures give the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import ceil, floor, log10
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, Locator, NullFormatter

from ligero.common.files import atomic_path
from ligero.common.records import write_listing
from ligero.settings.study import Study

# Okabe and Ito (2008): distinguishable with any colour vision.
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8C8C8C"

SIZE = (8.0, 5.0)
"""Inches."""
TICK_SIZE = 8.0
"""Points of the labels of ticks."""

SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that every machine draws the same
    "font.size": 9,
    "xtick.labelsize": TICK_SIZE,
    "ytick.labelsize": TICK_SIZE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "svg.hashsalt": "ligero",  # ids inside the file would be random otherwise
    "svg.fonttype": "path",
}


def new_figure(study: Study, title: str) -> tuple[Figure, Axes]:
    """A figure with one pair of axes; its title states the study's scale."""
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(_titled(title, study), loc="left", fontsize=11)
    return figure, axes


def _titled(title: str, study: Study) -> str:
    """A title with the study's scale; a study of the user's own needs none."""
    return title if study.scale == "own" else f"{title} ({study.scale})"


def new_panels(
    study: Study, title: str, number: int, size: tuple[float, float] = SIZE
) -> tuple[Figure, list[Axes]]:
    """A figure with several pairs of axes side by side and one scale of heights; its title states the study's scale."""
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(1, number, sharey=True)
        panels[0].set_title(_titled(title, study), loc="left", fontsize=11)
    return figure, list(panels)


class SpacedLocator(Locator):
    """Ticks of a logarithmic axis: the finest round numbers whose labels keep a distance, however wide the axis becomes."""

    SETS = (
        (1.0,),
        (1.0, 3.0),
        (1.0, 2.0, 5.0),
        (1.0, 1.5, 2.0, 3.0, 5.0, 7.0),
        (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0),
    )

    def __init__(self, axes: Axes, label: Callable[[float], str]) -> None:
        self.axes, self.label = axes, label

    def __call__(self) -> list[float]:
        """Ticks within the limits that the axis has now."""
        return self.tick_values(*self.axes.get_xlim())

    def tick_values(self, vmin: float, vmax: float) -> list[float]:
        best: list[float] = []
        powers = range(floor(log10(vmin)), ceil(log10(vmax)) + 1)
        for factors in self.SETS:
            ticks = [factor * 10.0**power for power in powers for factor in factors]
            ticks = [float(f"{tick:.6g}") for tick in ticks if vmin <= tick <= vmax]
            if len(ticks) > len(best) and self._apart(ticks, vmin, vmax):
                best = ticks
        return best

    def _apart(self, ticks: list[float], low: float, high: float) -> bool:
        """Whether labels of these ticks leave half a figure's width or more between them."""
        letter = 0.66 * TICK_SIZE * self.axes.figure.dpi / 72
        places = [self.axes.bbox.width * log10(tick / low) / log10(high / low) for tick in ticks]
        widths = [letter * len(self.label(tick)) for tick in ticks]
        pairs = pairwise(zip(places, widths, strict=True))
        return all(right - left > (one + other) / 2 + letter for (left, one), (right, other) in pairs)


def set_cost_axis(axes: Axes, label: Callable[[float], str]) -> None:
    """A logarithmic axis of costs.

    Args:
        label: from a cost to its label.
    """
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(SpacedLocator(axes, label))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: label(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def with_prefix(value: float) -> str:
    """An amount with the prefix of its magnitude: 43.5 G."""
    for size, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g} {prefix}"
    return f"{value:g}"


def write_svg(figure: Figure, path: Path) -> None:
    """Write a figure without date, so that it only changes when its data do, and the JSON record that lists it."""
    with matplotlib.rc_context(SETTINGS), atomic_path(path) as temporary:
        FigureCanvasSVG(figure)
        figure.savefig(temporary, format="svg", metadata={"Date": None})
    write_listing(path.with_suffix(".json"), [path.name])
