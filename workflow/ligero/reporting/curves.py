"""The log of a pretraining, taken apart for drawing: losses, evaluations, restarts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ligero.common.errors import DataError
from ligero.pretraining.records import MetricsLine
from ligero.reporting.results import Results

SMOOTHING_SHARE = 0.02
"""The smoothed line averages over this share of the steps."""

Points = list[tuple[int, float]]
"""(step, loss)."""


@dataclass
class Curve:
    """A pretraining's log: the loss of masked tokens, which every objective has, so that it can be compared with the plateau."""

    segments: list[Points] = field(default_factory=lambda: [[]])
    """Between restarts."""
    validation: Points = field(default_factory=list)
    """The same loss on held-out text."""
    restarts: list[tuple[int, int]] = field(default_factory=list)
    """(step at which training diverged, step that it went back to)."""

    @property
    def kept(self) -> Points:
        """The losses that led to the final model."""
        return self._split()[0]

    @property
    def lost(self) -> list[Points]:
        """The losses of steps that restarts threw away."""
        return self._split()[1]

    def _split(self) -> tuple[Points, list[Points]]:
        kept: Points = []
        lost: list[Points] = []
        for place, segment in enumerate(self.segments):
            kept = [*kept, *segment]
            if place < len(self.restarts):
                _, back_to = self.restarts[place]
                lost.append([point for point in kept if point[0] > back_to])
                kept = [point for point in kept if point[0] <= back_to]
        return kept, [segment for segment in lost if segment]


def read_curve(results: Results, model: str) -> Curve:
    """The log of a model's pretraining.

    Raises:
        DataError: it is missing, or holds not a single loss.
    """
    path = Path(results.layout.pretraining_metrics(model))
    return curve_of(results.pretraining_summary(model).metrics(path.parent), path)


def curve_of(lines: Iterable[MetricsLine], path: Path) -> Curve:
    """The lines of the metrics file `path`, taken apart.

    Raises:
        DataError: there is not a single loss.
    """
    curve = Curve()
    for line in lines:
        _add(curve, line)
    if not any(curve.segments):
        problem = "it holds no training loss."
        raise DataError(path, None, problem, "Lower log_every in the pretraining recipe.")
    return curve


def _add(curve: Curve, entry: MetricsLine) -> None:
    event = entry.get("event")
    if event == "rollback":
        curve.restarts.append((entry["step"], entry["to_step"]))
        curve.segments.append([])
        curve.validation = [point for point in curve.validation if point[0] <= entry["to_step"]]
    elif event == "validation":
        curve.validation.append((entry["step"], _shown(entry)))
    elif event is None and "loss" in entry:
        curve.segments[-1].append((entry["step"], _shown(entry)))


def _shown(entry: MetricsLine) -> float:
    """The loss of masked tokens, or where a model learns a teacher's states the error of those."""
    return entry["state_loss"] if "state_loss" in entry else entry["mlm_loss"]


def smoothed(points: Points) -> Points:
    """A moving mean over a share of the points, centred; shorter at both ends."""
    half = max(int(len(points) * SMOOTHING_SHARE / 2), 1) if len(points) > 4 else 0
    means = []
    for place, (step, _) in enumerate(points):
        near = points[max(place - half, 0) : place + half + 1]
        means.append((step, sum(loss for _, loss in near) / len(near)))
    return means
