"""The loss of one model's pretraining over its steps, with evaluations, the plateau and restarts."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ligero.reporting.curves import Points, read_curve, smoothed
from ligero.reporting.figures.style import GREY, new_figure, with_prefix
from ligero.reporting.looks import LOOKS
from ligero.reporting.results import Results


def training_loss(results: Results, model: str) -> Figure:
    """Loss over steps: every logged step, a moving mean, evaluations on held-out text, and what restarts threw away."""
    curve = read_curve(results, model)
    plateau = results.pretraining_summary(model).unigram_loss
    figure, axes = new_figure(results.study, f"Pretraining of {results.study.models[model].name}")
    colour = LOOKS[results.study.models[model].architecture.type].colour
    for segment in curve.lost:
        axes.plot(*_xy(segment), color=GREY, linewidth=0.8, alpha=0.7, linestyle=":")
    axes.plot(*_xy(curve.kept), color=colour, linewidth=0.6, alpha=0.35)
    axes.plot(*_xy(smoothed(curve.kept)), color=colour, linewidth=1.6, label="training (moving mean)")
    if curve.validation:
        axes.plot(
            *_xy(curve.validation),
            color=colour,
            marker="o",
            markersize=4,
            linewidth=1.0,
            linestyle="--",
            label="held-out text",
        )
    if plateau is not None:
        axes.axhline(
            plateau,
            color="black",
            linewidth=1.0,
            linestyle=":",
            label="plateau: knowing only how frequent each token is",
        )
    _draw_restarts(axes, curve.restarts)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: with_prefix(value)))
    axes.set_xlabel("steps of the optimiser")
    learns_states = results.study.models[model].state_teacher is not None
    axes.set_ylabel(
        "squared error of the teacher's states (their mean gives 1)"
        if learns_states
        else "loss at masked tokens, in nats"
    )
    axes.margins(x=0.02)
    axes.legend(fontsize=8, frameon=False)
    return figure


def _draw_restarts(axes: Axes, restarts: list[tuple[int, int]]) -> None:
    for number, (step, back_to) in enumerate(restarts):
        axes.axvspan(back_to, step, color=GREY, alpha=0.12, linewidth=0)
        label = "went back to here after diverging" if number == 0 else None
        axes.axvline(back_to, color=GREY, linewidth=1.0, linestyle="--", label=label)


def _xy(points: Points) -> tuple[list[int], list[float]]:
    return [step for step, _ in points], [loss for _, loss in points]
