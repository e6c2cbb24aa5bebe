"""int8 with a gate: a quantised graph is offered only where it scores as the fp32 graph does on the validation split.

Ranges of activations come from the task's own training texts. Channels of an input are brought to one size
(`ligero.export.smoothing`), and weights are rounded so that products of those texts keep their values (`ligero.export.rounding`).
Static quantisation is tried first: with fixed ranges a text's answer does not depend on the texts beside it in a batch. Where it
loses too much, ranges measured in each run are tried; then inputs of products go back to fp32, those that do the most damage
first and as few as pass; then the model is trained for int8 (`ligero.export.qat`); and where nothing helps there is no int8 graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from torch import nn

from ligero.export.encoder import Int8, build, build_observed
from ligero.export.qat import trained
from ligero.export.rounding import compensated
from ligero.export.smoothing import smoothing
from ligero.export.splits import features_of, predict_split, predictions_of
from ligero.export.weights import Array, Outline, Weights
from ligero.serving.manifest import Accepted, Attempt, Conditions, Products, Refused, Step, Verdict
from ligero.serving.predictor import GraphRunner, padded
from ligero.serving.readers import Feature
from ligero.serving.session import open_session
from ligero.settings.export import Export
from ligero.settings.jobs import TaskSpec
from ligero.settings.training import TrainingOptions
from ligero.tasks.bootstrap import paired_bootstrap
from ligero.tasks.metrics import HEADLINE
from ligero.training.evaluate import Predictions
from ligero.training.features import EncodedSplit
from ligero.training.scoring import Answered, Examples, score_predictions

Method = Literal["static", "dynamic"]
SENSITIVITY_FEATURES = 32
"""Training features on which the damage of each quantised input is measured."""


@dataclass(frozen=True)
class Quantised:
    """An int8 graph that the gate accepted, or none.

    Attributes:
        model: the graph; None where none was accepted.
        weights: what it is built of; not the trained model's where it was trained for int8.
        int8: how its products are quantised.
        batches: whether texts may share a batch.
        record: the gate's figures for the manifest.
    """

    model: onnx.ModelProto | None
    weights: Weights | None
    int8: Int8 | None
    batches: bool
    record: Accepted | Refused


@dataclass(frozen=True)
class Gate:
    """Scores graphs on the validation split and compares them with a reference: the fp32 graph, unless another is named.

    Attributes:
        reference: reads the validation split, when the first graph is compared; where none is, nobody waits for it.
        threads: of a pass over a split.
        answered: of the reference.
    """

    task: TaskSpec
    options: TrainingOptions
    split: EncodedSplit
    examples: Examples
    pad: int
    threads: int
    reference: Callable[[], Predictions]
    max_drop: float

    @cached_property
    def answered(self) -> Answered:
        return score_predictions(self.task, self.options, self.reference(), self.split, self.examples)

    def judge(self, model: onnx.ModelProto, batches: bool) -> Verdict:
        """Score of a graph, drop against fp32 in points with the 95 % interval of the paired bootstrap, and whether it passes."""
        runner = GraphRunner(model.SerializeToString(), self.pad, batches, self.threads)
        return self.compare(predict_split(runner, self.split))

    def compare(self, found: Predictions) -> Verdict:
        """The verdict on answers to the validation split."""
        before = self.answered
        after = score_predictions(self.task, self.options, found, self.split, self.examples)
        statistic = after.scored.statistics[HEADLINE[self.task.metric]]
        test = paired_bootstrap(after.scored.units, before.scored.units, statistic, seed=self.options.seed)
        pairs = list(zip(before.answers, after.answers, strict=True))
        return {
            "score": after.score,
            "score_fp32": before.score,
            "drop": test.difference,
            "drop_interval": [test.low, test.high],
            "equal_answers": sum(one == other for one, other in pairs) / len(pairs),
            "passes": bool(test.difference <= self.max_drop),
        }


def quantise(
    outline: Outline,
    weights: Weights,
    model: Callable[[], nn.Module],
    train: EncodedSplit,
    gate: Gate,
    settings: Export,
) -> Quantised:
    """Find an int8 graph that passes the gate.

    Args:
        model: loads the trained model, where it has to be trained further.
        train: whose features set the ranges, the rounding, and the order in which inputs go back to fp32.
    """
    features = features_of(train)
    drawn = np.random.default_rng(gate.options.seed).permutation(len(features))[
        : settings.calibration_examples
    ]
    sample = [features[row] for row in drawn.tolist()]
    observed = observe(outline, weights, sample, gate.pad, gate.threads)
    static = calibrated(weights, observed)
    dynamic = replace(static, ranges=None)
    tried: list[Attempt] = []
    accepted: list[tuple[onnx.ModelProto, Weights, Int8, Attempt]] = []

    def attempt(step: Step, weights: Weights, int8: Int8, in_fp32: Sequence[str] = ()) -> bool:
        int8 = replace(int8, in_fp32=frozenset(in_fp32))
        graph = build(outline, weights, int8)
        method: Method = "dynamic" if int8.ranges is None else "static"
        verdict = gate.judge(graph, batches=method == "static")
        tried.append({"step": step, "method": method, "in_fp32": list(in_fp32), **verdict})
        if verdict["passes"]:
            accepted[:] = [(graph, weights, int8, tried[-1])]
        return verdict["passes"]

    if not attempt("static ranges", weights, static) and not attempt("dynamic ranges", weights, dynamic):
        int8 = static if tried[0]["drop"] <= tried[1]["drop"] else dynamic
        order = _by_damage(outline, weights, int8, list(observed.readers), sample, gate)
        _fewest(len(order) // 2, lambda count: attempt("inputs in fp32", weights, int8, order[:count]))
    if not accepted and settings.qat_steps:
        attempt(
            "quantisation-aware training",
            *trained(
                model(), outline, weights, static, observed.readers, train, gate.options, settings.qat_steps
            ),
        )

    common: Conditions = {
        "max_drop": settings.max_drop,
        "calibration_examples": len(sample),
        "weights": "int8 of 7 bits (-63..63), a scale for each output: sums cannot saturate on processors without VNNI",
    }
    if accepted:
        ((graph, chosen_weights, chosen, verdict),) = accepted
        return Quantised(
            graph,
            chosen_weights,
            chosen,
            verdict["method"] == "static",
            {
                "accepted": True,
                **common,
                **verdict,
                "products": products(graph, outline),
                "tried": len(tried),
            },
        )
    best = min(tried, key=lambda entry: entry["drop"])
    reason = (
        f"int8 loses at least {best['drop']:.2f} points of the validation score ({best['step']}, inputs in fp32: "
        f"{' '.join(best['in_fp32']) or 'none'}), more than max_drop {settings.max_drop}; {len(tried)} graphs were tried"
    )
    return Quantised(
        None, None, None, False, {"accepted": False, "reason": reason, **common, **best, "tried": len(tried)}
    )


@dataclass(frozen=True)
class Observed:
    """What products read on some texts.

    Attributes:
        readers: the weights that each input is multiplied with, without `.weight`.
        lows, highs: lowest and highest value of each channel of each input, [inputs].
        moments: sum of x xᵀ over the inputs x of each label, [inputs, inputs].
    """

    readers: dict[str, list[str]]
    lows: dict[str, Array]
    highs: dict[str, Array]
    moments: dict[str, Array]


def observe(
    outline: Outline, weights: Weights, sample: Sequence[Feature], pad: int, threads: int
) -> Observed:
    """Run the fp32 graph on some features and note what its products read."""
    model, readers = build_observed(outline, weights)
    session = open_session(model.SerializeToString(), threads)
    outputs = {(kind, label): f"{kind}:{label}" for label in readers for kind in ("low", "high", "moments")}
    lows: dict[str, Array] = {}
    highs: dict[str, Array] = {}
    moments: dict[str, Array] = {}
    for feature in sample:
        values = session.run(list(outputs.values()), padded([feature], pad, session))
        found = dict(zip(outputs, values, strict=True))
        for label in readers:
            low, high, moment = (found[kind, label] for kind in ("low", "high", "moments"))
            if label in moments:
                lows[label], highs[label] = np.minimum(lows[label], low), np.maximum(highs[label], high)
                moments[label] += moment
            else:
                lows[label], highs[label], moments[label] = low, high, moment.copy()
    return Observed(readers, lows, highs, moments)


def calibrated(weights: Weights, observed: Observed) -> Int8:
    """Ranges, smoothing and rounded weights from what products read."""
    peaks = {
        label: np.maximum(np.abs(observed.lows[label]), np.abs(observed.highs[label]))
        for label in observed.readers
    }
    divisors = smoothing(weights, observed.readers, peaks)
    ranges = {
        label: (
            float((observed.lows[label] / divisors[label]).min()),
            float((observed.highs[label] / divisors[label]).max()),
        )
        for label in observed.readers
    }
    rounded: dict[str, NDArray[np.int8]] = {}
    for name in dict.fromkeys(name for names in observed.readers.values() for name in names):
        labels = [label for label, names in observed.readers.items() if name in names]
        shared = divisors[labels[0]]
        seen = np.sum([observed.moments[label] for label in labels], axis=0)
        moments = (seen / np.outer(shared, shared)).astype(np.float32)
        rounded[f"{name}.weight"] = compensated(weights[f"{name}.weight"] * shared, moments)
    return Int8(ranges, smoothing=divisors, rounded=rounded)


def products(model: onnx.ModelProto, outline: Outline) -> Products:
    """How many products with weights a graph computes in int8 and in fp32.

    Always in fp32 are the head's, and key's and value's of the last layer where the head reads the first token only: of one row of
    each text and of what it attends to, computed by MatMul, as attention is.
    """
    kinds = [node.op_type for node in model.graph.node]
    by_matmul = 2 if outline.reads_first_token else 0
    return {"int8": kinds.count("MatMulIntegerToFloat"), "fp32": kinds.count("Gemm") + by_matmul}


def _fewest(most: int, passes: Callable[[int], bool]) -> None:
    """Ask whether counts pass until the smallest that does is known, if passing once is passing ever after: 1, 2, 4, ... up to
    `most`, then between the last two."""
    failed, count = 0, 1
    while count <= most and not passes(count):
        failed, count = count, min(2 * count, most) if count < most else most + 1
    while count <= most and count - failed > 1:
        middle = (failed + count) // 2
        failed, count = (failed, middle) if passes(middle) else (middle, count)


def _by_damage(
    outline: Outline,
    weights: Weights,
    int8: Int8,
    inputs: Sequence[str],
    sample: Sequence[Feature],
    gate: Gate,
) -> list[str]:
    """Inputs of products, the one first that moves the logits most when it alone is quantised."""
    few = sample[:SENSITIVITY_FEATURES]

    def logits(int8: Int8 | None) -> np.ndarray:
        model = build(outline, weights, int8).SerializeToString()
        outputs = GraphRunner(model, gate.pad, int8 is None or int8.ranges is not None, gate.threads).run(few)
        found = predictions_of(outputs, gate.task.type)
        return np.concatenate([found.logits.ravel(), found.start, found.end])

    every = frozenset(inputs)
    reference = logits(replace(int8, in_fp32=every))
    damage = {
        name: float(np.abs(logits(replace(int8, in_fp32=every - {name})) - reference).mean())
        for name in inputs
    }
    return sorted(damage, key=lambda name: -damage[name])
