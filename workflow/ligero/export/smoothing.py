"""Channels of a product's input brought to one size before they are quantised, and the weights divided by the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ligero.export.weights import Array, Weights

STRENGTH = 0.75
"""How much of the spread of channels moves from inputs to weights: 0 none, 1 all. Weights are rounded for the products of their
own inputs (`ligero.export.rounding`) and bear more of it than with rounding to the nearest, for which 0.5 is usual."""
_SMALLEST = 1e-5


def smoothing(
    weights: Weights, readers: Mapping[str, Sequence[str]], peaks: Mapping[str, Array]
) -> dict[str, Array]:
    """By what each channel of each input is divided: SmoothQuant (Xiao et al., ICML 2023, equation 4).

    A transformer has single channels that are ten times as large as all others, and a scale for all of an input leaves the others a
    few of 256 levels. Inputs that are multiplied with the same weight (ALBERT's layers) share their divisors. These are applied
    to the input itself and not in the LayerNorm before it, whose output the residual connection reads too.

    Args:
        readers: the weights that each input is multiplied with, without `.weight`.
        peaks: largest absolute value of each channel of each input, [inputs].

    Returns:
        Divisors by input, [inputs], with a geometric mean of 1.
    """
    divisors: dict[str, Array] = {}
    for inputs, names in _sharing(readers):
        peak = np.max([peaks[label] for label in inputs], axis=0)
        largest = np.max([np.abs(weights[f"{name}.weight"]).max(axis=0) for name in names], axis=0)
        wanted = np.maximum(peak, _SMALLEST) ** STRENGTH / np.maximum(largest, _SMALLEST) ** (1 - STRENGTH)
        shared = (wanted / np.exp(np.log(wanted).mean())).astype(np.float32)
        divisors |= dict.fromkeys(inputs, shared)
    return divisors


def _sharing(readers: Mapping[str, Sequence[str]]) -> list[tuple[set[str], set[str]]]:
    """Inputs that share a weight, directly or through others, and all weights of such a group."""
    groups: list[tuple[set[str], set[str]]] = []
    for label, names in readers.items():
        inputs, weights = {label}, set(names)
        apart = []
        for group in groups:
            if group[1] & weights:
                inputs |= group[0]
                weights |= group[1]
            else:
                apart.append(group)
        groups = [*apart, (inputs, weights)]
    return groups
