"""How well a system trades cost for score: equal-cost gain, hypervolume contribution, cost at retention, Pareto membership.

Every function takes the costs of all systems, [systems], in any one unit (MACs, milliseconds, bytes; above zero, lower is better),
and their scores in percent, [systems] or [systems, samples] where each column is one bootstrap resample. Costs are compared by
their ratios only, so no result depends on the unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ligero.common.errors import MismatchError

Floats = NDArray[np.float64]
Truths = NDArray[np.bool_]

RETENTIONS = (0.99, 0.97, 0.95)
"""Shares of a teacher's score for which the cheapest system is reported."""
REFERENCE_FACTOR = 64.0
"""The hypervolume's reference point costs this many times the reference model."""


def non_dominated(costs: Floats, scores: Floats) -> Truths:
    """Which systems no other beats: none is as cheap and as good, and cheaper or better. Same shape as `scores`."""
    _check(costs, scores)
    spread = costs.reshape(-1, *[1] * (scores.ndim - 1))
    kept = np.empty(scores.shape, dtype=np.bool_)
    for system in range(len(costs)):
        as_good = (spread <= costs[system]) & (scores >= scores[system])
        better = (spread < costs[system]) | (scores > scores[system])
        kept[system] = ~(as_good & better).any(axis=0)
    return kept


@dataclass(frozen=True)
class ReferenceFront:
    """The front that systems are compared with. Its members are frozen: resampling moves their scores, never who they are.

    Attributes:
        members: their places among all systems, from the cheapest to the dearest.
        costs: of the members, strictly increasing; so are their scores on the data that chose them.
    """

    members: tuple[int, ...]
    costs: Floats

    @classmethod
    def of(cls, costs: Floats, scores: Floats, candidates: Sequence[int]) -> ReferenceFront:
        """The non-dominated systems among `candidates` (ELUE: the fine-tuned ones) by their point scores, [systems].

        Raises:
            MismatchError: there are no candidates.
        """
        _check(costs, scores)
        if not candidates:
            raise MismatchError("a reference front needs at least one system")
        chosen = np.asarray(candidates)
        front = chosen[non_dominated(costs[chosen], scores[chosen])]
        ordered = front[np.argsort(costs[front], kind="stable")]
        # Of systems that cost and score exactly the same one is enough.
        _, first = np.unique(costs[ordered], return_index=True)
        members = ordered[first]
        return cls(tuple(members.tolist()), costs[members])

    def gains(self, costs: Floats, scores: Floats) -> Floats:
        """Equal-cost gain of every system in points: its score minus the front's at the same cost. Same shape as `scores`.

        Between two members the front is linear in the logarithm of cost. Outside of its range the gain is undefined: NaN, never
        extrapolated. This is the score of ELUE (Liu et al., NAACL 2022), for any cost instead of FLOPs.
        """
        _check(costs, scores)
        gains = np.full(scores.shape, np.nan)
        logs = np.log(self.costs)
        for system, cost in enumerate(costs):
            if not self.costs[0] <= cost <= self.costs[-1]:
                continue
            upper = int(np.searchsorted(self.costs, cost))
            high = scores[self.members[upper]]
            if self.costs[upper] == cost:
                gains[system] = scores[system] - high
                continue
            share = (np.log(cost) - logs[upper - 1]) / (logs[upper] - logs[upper - 1])
            gains[system] = scores[system] - ((1 - share) * scores[self.members[upper - 1]] + share * high)
        return gains


def hypervolume(costs: Floats, scores: Floats, reference_cost: float, reference_score: float) -> Floats:
    """Area that the systems dominate, up to the reference point, in points times doublings of cost. [] or [samples].

    The cost axis is its binary logarithm. A system that does not beat the reference point in both adds nothing. Zitzler and
    Thiele 1998; strictly Pareto compliant.
    """
    _check(costs, scores)
    order = np.argsort(costs, kind="stable")
    best = np.maximum.accumulate(np.maximum(scores[order] - reference_score, 0.0), axis=0)
    edges = np.minimum(np.log2(np.append(costs[order], reference_cost)), np.log2(reference_cost))
    widths = np.diff(edges).reshape(-1, *[1] * (scores.ndim - 1))
    return np.asarray((best * widths).sum(axis=0))


def hypervolume_contributions(
    costs: Floats, scores: Floats, reference_cost: float, reference_score: float
) -> Floats:
    """What each system adds to the hypervolume of all the others, in the same unit. Same shape as `scores`."""
    whole = hypervolume(costs, scores, reference_cost, reference_score)
    others = [np.arange(len(costs)) != system for system in range(len(costs))]
    added = np.stack(
        [
            whole - hypervolume(costs[kept], scores[kept], reference_cost, reference_score)
            if kept.any()
            else whole
            for kept in others
        ]
    )
    return np.maximum(added, 0.0)  # rounding may leave a little below


def cheapest_retaining(costs: Floats, scores: Floats, teacher_score: float, share: float) -> int | None:
    """The cheapest system, the better of equally cheap ones, that keeps `share` of the teacher's score, or None. Scores: [systems]."""
    _check(costs, scores)
    keeping = [system for system in range(len(costs)) if scores[system] >= share * teacher_score]
    return min(keeping, key=lambda system: (costs[system], -scores[system]), default=None)


def _check(costs: Floats, scores: Floats) -> None:
    """Refuse costs that have no logarithm, and scores of other systems.

    Raises:
        MismatchError: either is the case.
    """
    if len(costs) != len(scores):
        raise MismatchError(f"{len(costs)} costs for the scores of {len(scores)} systems")
    if not np.all(np.isfinite(costs) & (costs > 0)):
        raise MismatchError(f"costs must be above 0 and finite, found {costs.tolist()}")
