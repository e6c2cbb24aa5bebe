"""Encoded splits through an exported graph: features in, predictions and scores out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from statistics import median

import numpy as np

from ligero.serving.manifest import Precision
from ligero.serving.predictor import GraphRunner
from ligero.serving.readers import Feature, Outputs
from ligero.settings.tasks import TaskType
from ligero.training.evaluate import Predictions
from ligero.training.features import EncodedSplit


def features_of(split: EncodedSplit) -> list[Feature]:
    """The features of a split, as serving has them."""
    return [
        Feature(split.input_ids[low:high].tolist(), split.token_type_ids[low:high].tolist())
        for low, high in zip(split.offsets[:-1].tolist(), split.offsets[1:].tolist(), strict=True)
    ]


def predictions_of(outputs: Sequence[Outputs], task_type: TaskType) -> Predictions:
    """Logits of all features in the form that scoring reads."""
    none = np.zeros(0, np.float32)
    if task_type == "question_answering":
        start, end = (np.concatenate([output[name] for output in outputs]) for name in ("start", "end"))
        return Predictions(none, start, end)
    join = np.stack if task_type == "sequence_classification" else np.concatenate
    return Predictions(join([output["logits"] for output in outputs]), none, none)


def predict_split(runner: GraphRunner, split: EncodedSplit) -> Predictions:
    """A graph's logits on a split."""
    return predictions_of(runner.run(features_of(split)), split.task_type)


def milliseconds(
    runners: Mapping[Precision, GraphRunner], split: EncodedSplit, runs: int = 15
) -> tuple[dict[Precision, float], int]:
    """Median time of a forward pass of each graph on the split's feature of median length, the graphs taking turns, and that length."""
    middle = int(np.argsort(split.lengths)[len(split) // 2])
    feature = features_of(split)[middle]
    times: dict[Precision, list[float]] = {name: [] for name in runners}
    for _ in range(runs + 1):
        for name, runner in runners.items():
            start = time.perf_counter()
            runner.run([feature])
            times[name].append(time.perf_counter() - start)
    # The first run warms up.
    medians = {name: round(1000 * median(values[1:]), 4) for name, values in times.items()}
    return medians, int(split.lengths[middle])
