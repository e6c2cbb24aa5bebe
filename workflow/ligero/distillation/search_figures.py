"""Figures of a hyper-parameter study: which hyper-parameters matter, and where good trials lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ligero.common.files import atomic_path

NAMES = {"loss": "loss", "alpha": "alpha", "temperature": "temperature", "learning_rate": "learning rate"}
COLOURS = {"complete": "#1f5a92", "pruned": "#c9cdd2"}


def draw_importances(importances: dict[str, float], path: Path) -> None:
    """A bar for each hyper-parameter's share; says so where there were too few trials."""
    figure, axes = plt.subplots(figsize=(5, 2.4))
    names = list(importances)[::-1]
    axes.barh(
        [NAMES.get(name, name) for name in names], [importances[name] for name in names], color="#1f5a92"
    )
    axes.set_xlabel("share of importance (PED-ANOVA)")
    if not names:
        axes.text(0.5, 0.5, "too few completed trials", ha="center", va="center", transform=axes.transAxes)
    _save(figure, [axes], path)


def draw_slices(rows: list[dict[str, Any]], path: Path) -> None:
    """Validation loss against each hyper-parameter, a point a trial; pruned trials are grey and show their lowest loss so far."""
    figure, panels = plt.subplots(1, len(NAMES), figsize=(12, 3), sharey=True)
    for axes, (name, label) in zip(panels, NAMES.items(), strict=True):
        for state in ("pruned", "complete"):
            chosen = [r for r in rows if r["state"] == state and r["validation_loss"] is not None]
            values = [str(r[name]) if name in ("loss", "temperature") else r[name] for r in chosen]
            axes.scatter(
                values, [r["validation_loss"] for r in chosen], s=14, color=COLOURS[state], label=state
            )
        axes.set_xlabel(label)
    panels[0].set_ylabel("validation loss")
    panels[-1].legend(frameon=False)
    _save(figure, list(panels), path)


def _save(figure: Figure, panels: list[Axes], path: Path) -> None:
    """As SVG with the same bytes for the same data."""
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    with atomic_path(path) as temporary, matplotlib.rc_context({"svg.hashsalt": "ligero"}):
        figure.savefig(temporary, format="svg", metadata={"Date": None})
    plt.close(figure)
