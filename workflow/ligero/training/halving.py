"""Successive halving over the trials of a task: who stops, and after which epoch. Needs no torch.

After Jamieson and Talwalkar (AISTATS 2016). All trials of a group reach a comparison before any continues, so that it does not matter in
which order they are trained; the asynchronous form (ASHA; Li et al., MLSys 2020), which is Optuna's, decides on each trial when it
arrives, and lets every trial continue that is better than those before it.

What has stopped cannot be the best: a trial that continued was as good already, and its best epoch never gets worse.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from ligero.settings.plan import Trial
from ligero.settings.training import Halving
from ligero.training.best_point import best_of
from ligero.training.records import BestPoint, Halved, TrialRecord


def losers(
    trials: Sequence[Trial],
    halving: Halving,
    selection_metric: str,
    reach: Callable[[Trial, int], TrialRecord],
) -> Iterator[tuple[Trial, TrialRecord]]:
    """Each trial that stops, with its outcome up to there, as soon as it is decided; of equals the first in the grid's order continues.

    Args:
        trials: of one system and task, in the grid's order.
        selection_metric: "loss" or "score".
        reach: gives the outcome of a trial that has run for that many epochs, or longer, or to its end.
    """
    for epochs in dict.fromkeys(trial.epochs for trial in trials):
        running = [trial for trial in trials if trial.epochs == epochs]
        for rung in halving.rungs(epochs):
            if len(running) == 1:
                break
            outcomes = {trial: up_to(reach(trial, rung), rung, selection_metric) for trial in running}
            ranked = sorted(running, key=lambda trial: _rank(outcomes[trial]["best"], selection_metric))
            kept = halving.kept(len(ranked))
            for place, trial in enumerate(ranked[kept:], start=kept + 1):
                # One that ran out of patience before is complete, and stays so.
                if (outcome := outcomes[trial])["stopped"] == "halving":
                    at = Halved(epoch=rung, place=place, of=len(ranked), kept=kept)
                    yield trial, {**outcome, "halved": at}
            running = [trial for trial in running if trial in ranked[:kept]]


def up_to(record: TrialRecord, epochs: int, selection_metric: str) -> TrialRecord:
    """A trial's outcome as if it had been stopped after that many epochs; one that ended before is returned as it is."""
    curve = [point for point in record["curve"] if point["epoch"] <= epochs]
    if len(curve) == len(record["curve"]) and record["stopped"] in ("epochs", "patience"):
        return record
    last = curve[-1]["step"] if curve else 0
    cut = record.copy()
    cut.pop("halved", None)
    return {
        **cut,
        "best": best_of(curve, selection_metric),
        "curve": curve,
        "stopped": "halving",
        "weights_digest": None,
        "halvings": [halving for halving in record["halvings"] if int(halving["step"]) <= last],
    }


def _rank(best: BestPoint, selection_metric: str) -> float:
    """Less is better; diverged trials come last."""
    if best["loss"] is None or best["score"] is None:
        return math.inf
    return -best["score"] if selection_metric == "score" else best["loss"]
