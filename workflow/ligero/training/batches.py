"""In which order a trial sees its features, and which of them share a batch: a pure function of seed and epoch."""

from __future__ import annotations

import numpy as np

from ligero.settings.training import TrainingOptions
from ligero.training.features import Ints

POOL_BATCHES = 50
"""Bucketed batches are cut from pools of this many batches, sorted by length: wide enough that little is padding, small
enough that batches differ between epochs."""


def epoch_batches(lengths: Ints, batch_size: int, epoch: int, options: TrainingOptions) -> list[Ints]:
    """Row indices of the effective batches of one epoch; the last one may be smaller.

    Args:
        lengths: [F], tokens of each feature.
        batch_size: effective batch size in features.
        epoch: 0-based; with `shuffle` each epoch has an order of its own, without all have the file's.

    Every feature is in exactly one batch.
    """
    order = np.arange(len(lengths))
    generator = np.random.default_rng([options.seed, epoch])
    if options.shuffle:
        generator.shuffle(order)
    if not options.bucket_by_length:
        return _cut(order, batch_size)
    batches: list[Ints] = []
    for pool in _cut(order, batch_size * POOL_BATCHES):
        batches += _cut(pool[np.argsort(lengths[pool], kind="stable")], batch_size)
    if options.shuffle:
        # Sorted pools would show the model short sentences first; the incomplete batch stays last, as without buckets.
        last = [batches.pop()] if len(batches[-1]) < batch_size else []
        generator.shuffle(batches)
        batches += last
    return batches


def steps_per_epoch(features: int, batch_size: int) -> int:
    """Optimiser steps in an epoch: the number of effective batches."""
    return -(-features // batch_size)


def evaluation_steps(steps: int, evaluations: int) -> set[int]:
    """After how many steps of an epoch validation runs: evenly spaced, always at the end."""
    return {max(1, round(steps * number / evaluations)) for number in range(1, evaluations + 1)} | {steps}


def periodic_evaluation_steps(steps: int, every: int, epoch: int, epochs: int) -> set[int]:
    """After how many steps of an epoch (0-based) validation runs: where the run's own steps are a multiple of `every`, which may
    be nowhere in an epoch; in a run of fewer steps at its end."""
    if steps * epochs < every:
        return {steps} if epoch == epochs - 1 else set()
    before = steps * epoch
    first = every - before % every
    return set(range(first, steps + 1, every))


def length_sorted_batches(lengths: Ints, max_features: int, max_tokens: int) -> list[Ints]:
    """Batches for inference, longest first so that memory runs out at once or not at all.

    Each has at most `max_features` features and, unless it holds a single one, at most `max_tokens` tokens with padding.
    """
    order = np.argsort(-np.asarray(lengths), kind="stable")
    batches: list[Ints] = []
    start = 0
    while start < len(order):
        fitting = max(1, max_tokens // max(1, int(lengths[order[start]])))
        stop = start + min(max_features, fitting)
        batches.append(order[start:stop])
        start = stop
    return batches


def _cut(order: Ints, size: int) -> list[Ints]:
    return [order[start : start + size] for start in range(0, len(order), size)]
