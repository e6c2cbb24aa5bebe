"""A model's raw outputs on a split, and the cross entropy of the gold labels under them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ligero.models.precision import autocast
from ligero.settings.base import ResolvedPrecision
from ligero.training.batches import length_sorted_batches
from ligero.training.features import IGNORED, EncodedSplit, Ints
from ligero.training.steps import is_out_of_memory

Floats = NDArray[np.floating[Any]]

MAX_FEATURES = 64
MAX_TOKENS = {"cpu": 4096, "cuda": 65536}
"""Tokens with padding in an inference batch: what keeps a device busy without straining its memory."""


@dataclass(frozen=True)
class Predictions:
    """Float32 logits of every feature of a split, in the split's order, padding removed.

    Attributes:
        logits: [F, C] (classification), [N, C] with the split's offsets (tagging), else empty.
        start, end: [N] with the split's offsets (question answering), else empty.
    """

    logits: Floats
    start: Floats
    end: Floats


def predict(
    model: nn.Module,
    split: EncodedSplit,
    *,
    precision: ResolvedPrecision = "fp32",
    device: torch.device | None = None,
    max_features: int | None = None,
    halvings: list[dict[str, int]] | None = None,
) -> Predictions:
    """Run a model over a split in length-sorted batches, without gradients; the model's mode is restored afterwards.

    Args:
        precision: of the forward passes (autocast).
        max_features: features in a batch; None starts with 64 (fewer where they are long) and halves when memory runs out.
        halvings: gets an entry, from and to, for each halving; entries already there apply from the start, so that
            calls that share a list run out of memory once.
    """
    device = device or next(model.parameters()).device
    was_training = model.training
    model.eval()
    halvings = [] if halvings is None else halvings
    limit = halvings[-1]["to"] if halvings else max_features or MAX_FEATURES
    tokens = MAX_TOKENS.get(device.type, MAX_TOKENS["cpu"]) >> len(halvings)
    try:
        while True:
            try:
                return _predict(
                    model, split, precision, device, length_sorted_batches(split.lengths, limit, tokens)
                )
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or limit == 1:
                    raise
            halvings.append({"from": limit, "to": limit // 2})
            limit, tokens = limit // 2, tokens // 2
            if device.type == "cuda":
                torch.cuda.empty_cache()
    finally:
        model.train(was_training)


def _predict(
    model: nn.Module,
    split: EncodedSplit,
    precision: ResolvedPrecision,
    device: torch.device,
    batches: list[Ints],
) -> Predictions:
    pad_id = int(model.config.pad_token_id or 0)  # type: ignore[union-attr,arg-type]
    columns: list[list[Floats]] = [[], []]
    answering = split.task_type == "question_answering"
    with torch.inference_mode(), autocast(precision, device):
        for rows in batches:
            batch = split.batch(rows, pad_id).to(device)
            outputs = model(**batch.inputs(model))
            found = (outputs.start_logits, outputs.end_logits) if answering else (outputs.logits,)
            for column, values in zip(columns, found, strict=False):
                if split.task_type != "sequence_classification":
                    values = values[batch.attention_mask.bool()]
                column.append(values.float().cpu().numpy())
    order = np.concatenate(batches)
    none = np.zeros(0, np.float32)
    if answering:
        back = _restored(split.offsets, order)
        return Predictions(none, np.concatenate(columns[0])[back], np.concatenate(columns[1])[back])
    if split.task_type == "token_classification":
        return Predictions(np.concatenate(columns[0])[_restored(split.offsets, order)], none, none)
    return Predictions(np.concatenate(columns[0])[np.argsort(order)], none, none)


def _restored(offsets: Ints, order: Ints) -> Ints:
    """Index that brings flat token rows, written feature by feature in `order`, into the split's order."""
    lengths = np.diff(offsets)
    written = np.zeros(len(order), np.int64)
    written[order] = np.cumsum(lengths[order]) - lengths[order]
    return np.repeat(written - offsets[:-1], lengths) + np.arange(offsets[-1])


def validation_loss(predictions: Predictions, split: EncodedSplit) -> float:
    """Mean cross entropy of the gold labels, in float64.

    Over examples (classification), labelled tokens (tagging), or windows of the mean of start's and end's (question
    answering); the same quantity that GoldObjective minimises, over the whole split at once.
    """
    if split.task_type == "question_answering":
        start = _position_losses(predictions.start, split.offsets, split.start_position)
        end = _position_losses(predictions.end, split.offsets, split.end_position)
        return float(0.5 * (start + end).mean())
    if split.task_type == "token_classification":
        labelled = split.labels != IGNORED
        return _mean_cross_entropy(predictions.logits[labelled], split.labels[labelled])
    return _mean_cross_entropy(predictions.logits, split.label)


def _mean_cross_entropy(logits: Floats, labels: Ints) -> float:
    values = logits.astype(np.float64)
    values -= values.max(axis=1, keepdims=True)
    normaliser = np.log(np.exp(values).sum(axis=1))
    return float((normaliser - values[np.arange(len(labels)), labels]).mean())


def _position_losses(logits: Floats, offsets: Ints, positions: Ints) -> Floats:
    """[F], cross entropy of each window's position under the softmax over its tokens."""
    values = logits.astype(np.float64)
    begins = offsets[:-1]
    highest = np.maximum.reduceat(values, begins)
    sums = np.add.reduceat(np.exp(values - np.repeat(highest, np.diff(offsets))), begins)
    return highest + np.log(sums) - values[begins + positions]
