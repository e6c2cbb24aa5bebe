"""`trials_per_job: auto`: as many trials of a model and task in a job as take about half an hour on a GPU.

Decided from the configuration alone, and not from measured durations: what a job runs is part of what it is (the file it writes, the
digest of its settings), so it must be the same when the study is planned, when each job starts, and when the finished study is
planned again. The estimate can afford to be rough. Starting a job takes some 12 seconds, so a job that takes a ninth of the target still
spends 94 % of its time on training. Where trials move to another job all the same, those that are finished are read, not repeated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

from ligero.settings.models import Architecture
from ligero.settings.tasks import Task

Item = TypeVar("Item")
TARGET = 1800.0
"""Seconds of a job."""
OPERATIONS_PER_SECOND = 20e12
"""Of a GPU, reached in training with the batches of fine-tuning."""
SECONDS_PER_LAYER = 2.5e-3
"""Of a step, however small the batch: starting a layer's operations, forward, backward and in the optimiser."""
TOKENS = {"sequence_classification": 128, "token_classification": 64, "question_answering": 384}
"""Of an example, by type of task; an input is no longer than its largest length."""


def trial_seconds(
    batch_size: int, epochs: int, task: Task, max_length: int, architecture: Architecture, layers: int
) -> float | None:
    """How long a trial takes on a GPU, roughly; None where the configuration does not say how many examples the task has.

    Args:
        max_length: of the training options, where the task has none of its own.
        architecture: of the model that the trial starts from; layers: those of the model that is trained.
    """
    train = task.splits.train
    if train.expected is None and train.limit is None:
        return None
    share = train.share[1] - train.share[0] if train.share else 1.0
    examples = min(train.limit or math.inf, share * (math.inf if train.expected is None else train.expected))
    tokens = examples * epochs * min(TOKENS[task.type], task.max_length or max_length)
    weights = layers * (
        4 * architecture.hidden_size**2 + 2 * architecture.hidden_size * architecture.intermediate_size
    )
    steps = math.ceil(examples / batch_size) * epochs
    return 6 * weights * tokens / OPERATIONS_PER_SECOND + steps * layers * SECONDS_PER_LAYER


def packed(trials: Sequence[Item], seconds: Sequence[float | None]) -> list[list[Item]]:
    """Trials of one task cut into as few jobs as the target allows, of consecutive trials and similar lengths.

    A trial that takes longer than the target is a job of its own; so is each one where a length is unknown.
    """
    known = [expected for expected in seconds if expected is not None]
    if len(known) < len(trials):
        return [[trial] for trial in trials]
    length = sum(known) / math.ceil(sum(known) / TARGET)
    jobs: dict[int, list[Item]] = {}
    before = 0.0
    for trial, expected in zip(trials, known, strict=True):
        jobs.setdefault(int((before + expected / 2) / length), []).append(trial)
        before += expected
    return list(jobs.values())
