"""Names beside points, placed so that they cover neither each other nor the points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import cos, hypot, pi, sin

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

DIRECTIONS = 16
DISTANCES = (9.0, 16.0, 25.0, 36.0, 50.0, 66.0)
"""Pixels from the point to the nearest edge of its name, tried in order."""
MARKER = 5.0
"""Half the side of the square around a point that names must not cover, in pixels."""
BEAD = 1.5
"""Half the side of the boxes that represent a line, in pixels."""
LEADER_FROM = 14.0
"""Names farther away than this get a thin line to their point."""


@dataclass(frozen=True)
class Label:
    """A name for the point (x, y), in data coordinates."""

    x: float
    y: float
    text: str
    colour: str


def place_labels(
    figure: Figure, axes: Axes, labels: Sequence[Label], lines: Sequence[Sequence[tuple[float, float]]] = ()
) -> None:
    """Write every label where it overlaps least: near first, then farther away with a line to its point.

    Args:
        lines: curves in data coordinates that names should not cross either.

    The limits of the axes must be final. Deterministic: a label's place depends on the labels before it only.
    """
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    frame = axes.get_window_extent(renderer)
    points = [tuple(axes.transData.transform((label.x, label.y))) for label in labels]
    blocked = [Bbox.from_extents(x - MARKER, y - MARKER, x + MARKER, y + MARKER) for x, y in points]
    blocked += [box for line in lines for box in _beads(axes, line)]
    pixels = figure.dpi / 72
    for label, (x, y) in sorted(zip(labels, points, strict=True), key=lambda item: (-item[1][1], item[1][0])):
        probe = axes.text(0, 0, label.text, fontsize=7.5)
        extent = probe.get_window_extent(renderer)
        probe.remove()
        box = _best_box(x, y, extent.width + 2, extent.height + 1, frame, blocked)
        blocked.append(box)
        centre = ((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)
        gap = hypot(max(box.x0 - x, x - box.x1, 0), max(box.y0 - y, y - box.y1, 0))
        axes.annotate(
            label.text,
            (label.x, label.y),
            xytext=((centre[0] - x) / pixels, (centre[1] - y) / pixels),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=7.5,
            color=label.colour,
            arrowprops={
                "arrowstyle": "-",
                "color": label.colour,
                "linewidth": 0.5,
                "alpha": 0.6,
                "shrinkB": 3,
            }
            if gap > LEADER_FROM
            else None,
        )


def _beads(axes: Axes, line: Sequence[tuple[float, float]]) -> list[Bbox]:
    """A line as a string of small boxes."""
    corners = [tuple(axes.transData.transform(point)) for point in line]
    boxes = []
    for (x0, y0), (x1, y1) in pairwise(corners):
        count = max(int(hypot(x1 - x0, y1 - y0) / (2 * BEAD)), 1)
        for place in range(count):
            x, y = x0 + (x1 - x0) * place / count, y0 + (y1 - y0) * place / count
            boxes.append(Bbox.from_extents(x - BEAD, y - BEAD, x + BEAD, y + BEAD))
    return boxes


def _best_box(x: float, y: float, width: float, height: float, frame: Bbox, blocked: Sequence[Bbox]) -> Bbox:
    """The candidate place of least cost: overlap with what is there, then distance."""
    candidates = []
    for rank, distance in enumerate(DISTANCES):
        for turn in range(DIRECTIONS):
            angle = 2 * pi * turn / DIRECTIONS
            centre_x = x + cos(angle) * (distance + width / 2)
            centre_y = y + sin(angle) * (distance + height / 2)
            box = Bbox.from_bounds(centre_x - width / 2, centre_y - height / 2, width, height)
            overlap = sum(_shared_area(box, other) for other in blocked)
            outside = width * height - _shared_area(box, frame)
            candidates.append((overlap + 2 * outside, rank, turn, box))
        if min(candidates, key=lambda item: item[:3])[0] == 0:
            break
    return min(candidates, key=lambda item: item[:3])[3]


def _shared_area(one: Bbox, other: Bbox) -> float:
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return float(max(width, 0.0) * max(height, 0.0))
