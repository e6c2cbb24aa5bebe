"""Loss and accuracy of a pretraining model on held-out text, and the plateau of a model that knows only frequencies."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ligero.corpus.token_store import TokenStore
from ligero.pretraining.batches import PretrainingBatch
from ligero.pretraining.mlm_objective import Counts, PretrainingObjective


@torch.no_grad()
def validate(
    objective: PretrainingObjective, batch: PretrainingBatch, rows: int, device: torch.device
) -> dict[str, float]:
    """Losses and accuracies of an objective on a fixed batch, `rows` at a time."""
    was_training = objective.training
    objective.eval()
    sums: Tensor | None = None
    for micro in batch.micro_batches(rows):
        part = micro.to(device)
        outputs = objective(*part.inputs())
        values = torch.stack([value.float() for value in outputs])
        sums = values if sums is None else sums + values
    objective.train(was_training)
    assert sums is not None
    lessons = 0 if batch.taught is None else len(batch.taught)
    readings = objective.readings(sums.tolist(), Counts(len(batch.labels), len(batch), lessons))
    return {"loss": objective.total(readings), **readings}


def unigram_loss(store: TokenStore, labels: Tensor, vocabulary_size: int, sample: int = 10_000_000) -> float:
    """Mean cross entropy, in nats, of `labels` under the token frequencies of the text (add-one smoothed).

    The plateau of a masked language model that has learned frequencies and nothing else. Of a text of more than twice `sample`
    tokens, evenly spaced ones are counted: one source follows the other in it.
    """
    counted = store.tokens[:: max(1, len(store.tokens) // sample)]
    counts = np.bincount(counted, minlength=vocabulary_size) + 1.0
    return float(-np.log(counts[labels.numpy()] / counts.sum()).mean())
