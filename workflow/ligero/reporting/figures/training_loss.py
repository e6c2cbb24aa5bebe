"""The loss of one model's pretraining over its steps, with evaluations and restarts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ligero.common.errors import DataError
from ligero.pretraining.records import MetricsLine
from ligero.reporting.figures.style import BLUE, GREY, ORANGE, new_figure
from ligero.reporting.results import Results

SMOOTHING_SHARE = 0.02
"""The smoothed line averages over this share of the steps."""


@dataclass
class Curve:
    """A pretraining's log, taken apart."""

    segments: list[list[tuple[int, float]]] = field(default_factory=lambda: [[]])
    """(step, loss) between restarts."""
    validation: list[tuple[int, float]] = field(default_factory=list)
    """(step, the same loss on held-out text)."""
    restarts: list[tuple[int, int]] = field(default_factory=list)
    """(step at which training diverged, step that it went back to)."""


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
        # The sum that training minimises too; only ALBERT predicts the order of sentences.
        curve.validation.append((entry["step"], entry["mlm_loss"] + entry.get("sop_loss", 0.0)))
    elif event is None and "loss" in entry:
        curve.segments[-1].append((entry["step"], entry["loss"]))


def training_loss(results: Results, model: str) -> Figure:
    """Loss over steps: every logged step, a moving mean, evaluations on held-out text, and what restarts threw away."""
    metrics = Path(results.layout.pretraining_metrics(model))
    curve = curve_of(results.pretraining_summary(model).metrics(metrics.parent), metrics)
    figure, axes = new_figure(results.study, f"Pretraining of {results.study.models[model].name}")
    kept, lost = split_kept(curve)
    for segment in lost:
        axes.plot(*_xy(segment), color=GREY, linewidth=0.8, alpha=0.7, linestyle=":")
    axes.plot(*_xy(kept), color=BLUE, linewidth=0.6, alpha=0.35)
    axes.plot(*_xy(smoothed(kept)), color=BLUE, linewidth=1.6, label="training loss (moving mean)")
    if curve.validation:
        axes.plot(
            *_xy(curve.validation),
            color=ORANGE,
            marker="o",
            markersize=4,
            linewidth=0.8,
            label="loss on held-out text",
        )
    _draw_restarts(axes, curve.restarts)
    axes.set_xlabel("step")
    axes.set_ylabel("loss in nats")
    axes.margins(x=0.02)
    axes.legend(fontsize=8, frameon=False)
    return figure


def split_kept(curve: Curve) -> tuple[list[tuple[int, float]], list[list[tuple[int, float]]]]:
    """The losses that led to the final model, and those of steps that a restart threw away."""
    kept: list[tuple[int, float]] = []
    lost: list[list[tuple[int, float]]] = []
    for place, segment in enumerate(curve.segments):
        kept = [*kept, *segment]
        if place < len(curve.restarts):
            _, back_to = curve.restarts[place]
            lost.append([point for point in kept if point[0] > back_to])
            kept = [point for point in kept if point[0] <= back_to]
    return kept, [segment for segment in lost if segment]


def smoothed(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """A moving mean over a share of the points, centred; shorter at both ends."""
    half = max(int(len(points) * SMOOTHING_SHARE / 2), 1) if len(points) > 4 else 0
    means = []
    for place, (step, _) in enumerate(points):
        near = points[max(place - half, 0) : place + half + 1]
        means.append((step, sum(loss for _, loss in near) / len(near)))
    return means


def _draw_restarts(axes: Axes, restarts: list[tuple[int, int]]) -> None:
    for number, (step, back_to) in enumerate(restarts):
        axes.axvspan(back_to, step, color=GREY, alpha=0.12, linewidth=0)
        label = "restarted from here with a lower rate" if number == 0 else None
        axes.axvline(back_to, color=GREY, linewidth=1.0, linestyle="--", label=label)


def _xy(points: list[tuple[int, float]]) -> tuple[list[int], list[float]]:
    return [step for step, _ in points], [loss for _, loss in points]
