"""When a text may leave early: the threshold that validation allows, and whether it saves time.

Of a model that learned to answer after every repetition of its layer (`ligero.training.exits`), one pass over the validation split
gives the answers of all exits; what a threshold costs and saves follows from them. Thresholds are lowered one by one as long as the
score drops by at most `max_drop` even at the upper end of the drop's interval: the lowest of many thresholds whose estimate alone
passes would owe that to chance. Repetitions are not time: early exit is offered only where the graph is measured to be faster, one
text at a time, than the same graph without exits.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
import onnx
from numpy.typing import NDArray

from ligero.export.encoder import Int8, build_every_exit, build_with_exits
from ligero.export.quantisation import Gate
from ligero.export.splits import features_of, predictions_of
from ligero.export.weights import Outline, Weights
from ligero.serving.manifest import ExitFigures, NoExits, Verdict
from ligero.serving.predictor import FULL_DEPTH, GraphRunner
from ligero.serving.readers import Feature, Outputs
from ligero.tasks.bootstrap import bootstrap
from ligero.training.features import EncodedSplit

THRESHOLDS = (
    *(0.9999, 0.9998, 0.9995, 0.999, 0.998, 0.995, 0.99),
    *(percent / 100 for percent in range(98, 19, -2)),
)
TIMED_TEXTS, TIMED_RUNS = 32, 5


@dataclass(frozen=True)
class EarlyExit:
    """A graph with exits, and the figures that it is offered for."""

    model: onnx.ModelProto
    figures: ExitFigures


def early_exit(
    outline: Outline, weights: Weights, int8: Int8 | None, full: onnx.ModelProto, gate: Gate, batches: bool
) -> EarlyExit | NoExits:
    """Choose the threshold of a model's exits, and measure what it saves; or say why early exit is not offered.

    Args:
        int8: how products are quantised; None for fp32.
        full: the same graph without exits; both are timed with one thread.
        gate: compares answers on the validation split; here with those of the same graph at full depth.
        batches: whether texts may share a batch.
    """
    depth = len(outline.layers)

    def runner(model: onnx.ModelProto, threads: int) -> GraphRunner:
        return GraphRunner(model.SerializeToString(), gate.pad, batches, threads)

    every = runner(build_every_exit(outline, weights, int8), gate.threads).run(features_of(gate.split))
    shallower = [
        predictions_of(_answers(every, np.full(len(every), layers)), gate.task.type)
        for layers in range(1, depth + 1)
    ]
    gate = replace(gate, reference=lambda: shallower[-1])
    chosen: tuple[float, NDArray[np.int64], Verdict] | None = None
    failed = f"no text of the validation split leaves early at any threshold down to {THRESHOLDS[-1]:g}"
    for threshold, left in _exits(every, depth):
        verdict = gate.compare(predictions_of(_answers(every, left), gate.task.type))
        if (most := verdict["drop_interval"][1]) > gate.max_drop:
            failed = (
                f"at the threshold {threshold:g} it loses {verdict['drop']:.2f} points of the validation score and may lose {most:.2f} "
                f"(95 % interval), more than max_drop {gate.max_drop:g}"
            )
            break
        chosen = threshold, left, verdict
    if chosen is None:
        return {"accepted": False, "reason": failed}
    threshold, left, verdict = chosen
    model = build_with_exits(outline, weights, int8)
    texts, early_runner, full_runner = _timed(gate.split), runner(model, 1), runner(full, 1)
    times = np.array([_seconds(early_runner, threshold, full_runner, text) for text in texts])
    early, whole = 1000 * times.mean(axis=0)
    (interval,) = bootstrap(times, [lambda sums: sums[:, 1] / sums[:, 0]], seed=gate.options.seed)
    if interval[0] <= 1.0:
        return {
            "accepted": False,
            "reason": f"it saves no time: {left.mean():.1f} of {depth} repetitions at the threshold {threshold:g}, but "
            f"{whole / early:.2f} times ({interval[0]:.2f} to {interval[1]:.2f}) the speed of the graph without exits",
        }
    figures: ExitFigures = {
        "threshold": threshold,
        "depth": depth,
        "repetitions": float(left.mean()),
        "score_at_depth": [gate.compare(found)["score"] for found in shallower],
        "score": verdict["score"],
        "drop": verdict["drop"],
        "drop_interval": verdict["drop_interval"],
        "max_drop": gate.max_drop,
        "milliseconds": round(float(early), 4),
        "timed_tokens": float(np.mean([len(text.tokens) for text in texts])),
        "milliseconds_at_full_depth": round(float(whole), 4),
        "speedup": float(whole / early),
        "speedup_interval": list(interval),
    }
    return EarlyExit(model, figures)


def _exits(every: Sequence[Outputs], depth: int) -> Iterator[tuple[float, NDArray[np.int64]]]:
    """Thresholds from the highest at which a text leaves early, each with the layer after which each feature leaves, [features];
    those that change nothing are left out."""
    certainty = np.array([[output[f"certainty:{n}"] for n in range(1, depth + 1)] for output in every])
    certainty[:, -1] = FULL_DEPTH  # the last layer answers in any case
    before = np.full(len(every), depth)
    for threshold in THRESHOLDS:
        left = (certainty >= np.float32(threshold)).argmax(axis=1) + 1
        if (left != before).any():
            yield threshold, left
        before = left


def _answers(every: Sequence[Outputs], left: NDArray[np.int64]) -> list[Outputs]:
    """What each feature's own exit answers."""
    return [
        {name: output[f"{name}:{n}"] for name in ("logits", "start", "end") if f"{name}:{n}" in output}
        for output, n in zip(every, left.tolist(), strict=True)
    ]


def _timed(split: EncodedSplit) -> list[Feature]:
    """Some features of a split, evenly from its shortest to its longest."""
    features, order = features_of(split), np.argsort(split.lengths, kind="stable")
    places = np.linspace(0, len(order) - 1, min(TIMED_TEXTS, len(order))).round().astype(int)
    return [features[row] for row in order[places].tolist()]


def _seconds(
    early: GraphRunner, threshold: float, full: GraphRunner, feature: Feature
) -> tuple[float, float]:
    """Median time of a feature with exits, and without; the graphs take turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(TIMED_RUNS + 1):
        for taken, runner, at in zip(times, (early, full), (threshold, FULL_DEPTH), strict=True):
            start = time.perf_counter()
            runner.run([feature], at)
            taken.append(time.perf_counter() - start)
    return median(times[0][1:]), median(times[1][1:])  # the first run warms up
