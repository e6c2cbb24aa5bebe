"""Figures of a search over hyper-parameters, by Optuna: which hyper-parameters matter, and where good trials lie."""

from __future__ import annotations

import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import optuna
from matplotlib.figure import Figure
from optuna.exceptions import ExperimentalWarning
from optuna.visualization import matplotlib as drawing

from ligero.distillation.search import importances
from ligero.reporting.figures.style import new_figure, write_svg
from ligero.settings.study import Study


def draw_importances(search: optuna.Study, study: Study, path: Path) -> None:
    """Each hyper-parameter's share of the importance (PED-ANOVA); a note instead where too few trials completed."""
    if not importances(search):
        figure, axes = new_figure(study, "Importance of hyper-parameters")
        axes.text(0.5, 0.5, "too few completed trials", ha="center", va="center", transform=axes.transAxes)
        write_svg(figure, path)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        axes = drawing.plot_param_importances(search, evaluator=evaluator, target_name="validation loss")
    _write(axes.figure, path)


def draw_slices(search: optuna.Study, path: Path) -> None:
    """Validation loss against each hyper-parameter, a point for each completed trial."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        axes = drawing.plot_slice(search, target_name="validation loss")
    _write(axes.flat[0].figure if hasattr(axes, "flat") else axes.figure, path)


def _write(figure: Figure, path: Path) -> None:
    write_svg(figure, path)
    plt.close(figure)
