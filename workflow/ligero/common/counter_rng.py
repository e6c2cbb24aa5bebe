"""Random numbers as a pure function of their place: no state, so order of drawing, devices and restarts cannot matter.

A draw is the SplitMix64 finaliser (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators")
applied to the seed, the purpose of the draw and its coordinates, one after the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

UInts = NDArray[np.uint64]
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def splitmix64(*coordinates: Any) -> UInts:
    """64 well mixed bits for each broadcast combination of integer `coordinates` (scalars or arrays)."""
    state: Any = None
    with np.errstate(over="ignore"):
        for coordinate in coordinates:
            bits = np.asarray(coordinate).astype(np.uint64, copy=False)
            state = (bits if state is None else state ^ bits) + _GOLDEN
            state = (state ^ (state >> np.uint64(30))) * _FIRST
            state = (state ^ (state >> np.uint64(27))) * _SECOND
            state = state ^ (state >> np.uint64(31))
    return np.asarray(state, dtype=np.uint64)


def uniform(*coordinates: Any) -> NDArray[np.floating[Any]]:
    """Uniform numbers in [0, 1), one for each broadcast combination of `coordinates`."""
    return (splitmix64(*coordinates) >> np.uint64(11)) * 2.0**-53


def seed_of(*coordinates: int) -> int:
    """A seed for a generator of another library, below 2^63."""
    return int(splitmix64(*coordinates)) >> 1
