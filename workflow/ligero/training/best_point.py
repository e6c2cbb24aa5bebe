"""Which evaluation of a trial is its best. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterable

from ligero.training.records import BestPoint, CurvePoint

NONE = BestPoint(epoch=None, step=None, loss=None, score=None)
"""Where no validation loss was finite."""


def is_better(point: CurvePoint, best: BestPoint, selection_metric: str) -> bool:
    """Strictly better than the best so far, so that of equals the earlier one stays; a diverged model is never the best.

    Args:
        selection_metric: "loss" or "score".
    """
    if point["validation_loss"] is None:
        return False
    if best["loss"] is None or best["score"] is None:
        return True
    if selection_metric == "loss":
        return point["validation_loss"] < best["loss"]
    return point["score"] > best["score"]


def best_point(point: CurvePoint) -> BestPoint:
    """An evaluation as the best one."""
    return BestPoint(
        epoch=point["epoch"], step=point["step"], loss=point["validation_loss"], score=point["score"]
    )


def best_of(curve: Iterable[CurvePoint], selection_metric: str) -> BestPoint:
    """The best evaluation of a curve."""
    best = NONE
    for point in curve:
        if is_better(point, best, selection_metric):
            best = best_point(point)
    return best
