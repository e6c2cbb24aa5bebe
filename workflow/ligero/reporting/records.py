"""What the trade-off leaves on disk: its types, its reader and its writer."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple, TypedDict, cast

from ligero.common.records import read_record, write_record
from ligero.settings.study import Regime

Axis = Literal["macs", "milliseconds", "bytes"]


class Figure(NamedTuple):
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


class Outcome(TypedDict):
    """One system against one cost."""

    regime: Regime
    model: str
    cost: float
    score: Figure
    gain: Figure | None
    """Points above the reference front at the same cost; None outside of its range."""
    contribution: Figure
    """To the hypervolume, in points times doublings of cost."""
    efficient: bool
    """No other system is as cheap and as good, and better in one of them."""
    probability: float
    """In which share of the resamples that holds."""
    retention: Figure | None
    """Share of the teacher's score, in percent; None where nobody teaches."""
    in_reference: bool
    """A member of the reference front."""


class Retaining(TypedDict):
    """The cheapest system that keeps a share of the teacher's score."""

    share: float
    regime: Regime | None
    model: str | None
    saving: float | None
    """How many times cheaper than the teacher it is; teachers of several tasks count with their mean cost."""
    probability: float | None
    """In which share of the resamples it keeps the share."""


class Measured(TypedDict):
    """What is known of one task, or of all of them (task None), against one cost."""

    task: str | None
    axis: Axis
    reference_cost: float
    """Of the reference point, from which on the hypervolume counts nothing."""
    reference_score: float
    """Of the reference point: what needs no model reaches."""
    systems: list[Outcome]
    retaining: list[Retaining]


def read_tradeoff(path: Path) -> list[Measured]:
    """What `write_tradeoff` wrote; figures, which JSON knows as lists, are figures again."""
    found = cast(list[Measured], read_record(path)["measured"])
    for measured in found:
        for outcome in measured["systems"]:
            outcome["score"] = Figure(*outcome["score"])
            outcome["contribution"] = Figure(*outcome["contribution"])
            outcome["gain"] = outcome["gain"] and Figure(*outcome["gain"])
            outcome["retention"] = outcome["retention"] and Figure(*outcome["retention"])
    return found


def write_tradeoff(path: Path, measured: list[Measured]) -> None:
    write_record(path, {"measured": measured})
