"""How figures look, and how they are written so that the same figures give the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

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


def new_figure(study: Study, title: str) -> tuple[Figure, Axes]:
    """A figure with one pair of axes; its title states the study's scale."""
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(f"{title}  ({study.scale})", loc="left", fontsize=11)
    return figure, axes


def new_panels(study: Study, title: str, number: int) -> tuple[Figure, list[Axes]]:
    """A figure with several pairs of axes side by side and one scale of heights; its title states the study's scale."""
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=SIZE, layout="constrained")
        panels = figure.subplots(1, number, sharey=True)
        panels[0].set_title(f"{title}  ({study.scale})", loc="left", fontsize=11)
    return figure, list(panels)


def write_svg(figure: Figure, path: Path) -> None:
    """Write a figure without date, so that it only changes when its data do."""
    with matplotlib.rc_context(SETTINGS), atomic_path(path) as temporary:
        FigureCanvasSVG(figure)
        figure.savefig(temporary, format="svg", metadata={"Date": None})
