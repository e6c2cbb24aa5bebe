"""One file a kind of figure; `draw(name, results)` finds the one by its name."""

from __future__ import annotations

from matplotlib.figure import Figure

from ligero.common.errors import ConfigurationError
from ligero.reporting.figures.corpus_lengths import corpus_lengths
from ligero.reporting.figures.tradeoff import score_against_latency, score_against_macs
from ligero.reporting.figures.training_loss import training_loss
from ligero.reporting.results import Results


def draw(name: str, results: Results) -> Figure:
    """The figure of that name, one of `Layout.figure_names`.

    Raises:
        ConfigurationError: no such figure in this study.
    """
    known = results.layout.figure_names()
    if name not in known:
        raise ConfigurationError(f"no figure '{name}' in this study; known: {', '.join(known)}")
    if name.startswith("training_loss_"):
        return training_loss(results, name.removeprefix("training_loss_"))
    if name == "corpus_lengths":
        return corpus_lengths(results)
    if name == "score_vs_latency":
        return score_against_latency(results)
    task = name.removeprefix("score_vs_macs").removeprefix("_")
    return score_against_macs(results, task or None)
