"""int8 with a gate: a quantised graph is offered only where it scores as the fp32 graph does on the validation split.

Ranges of activations come from the task's own training texts, and weights are rounded so that products of those texts keep
their values (`ligero.export.rounding`). Static quantisation is tried first: with fixed ranges a text's answer does not depend on
the texts beside it in a batch. Where it loses too much, ranges measured in each run are tried; then inputs of products go back
to fp32, those that do the most damage first and as few as pass; and where that does not help there is no int8 graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from ligero.export.encoder import Int8, build, build_observed
from ligero.export.rounding import compensated
from ligero.export.splits import features_of, predict_split, predictions_of
from ligero.export.weights import Outline, Weights
from ligero.serving.manifest import Accepted, Attempt, Conditions, Products, Refused, Verdict
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

Ranges = Mapping[str, tuple[float, float]]
Method = Literal["static", "dynamic"]
SENSITIVITY_FEATURES = 32
"""Training features on which the damage of each quantised input is measured."""


@dataclass(frozen=True)
class Quantised:
    """An int8 graph that the gate accepted, or none.

    Attributes:
        model: the graph; None where none was accepted.
        int8: how its products are quantised.
        batches: whether texts may share a batch.
        record: the gate's figures for the manifest.
    """

    model: onnx.ModelProto | None
    int8: Int8 | None
    batches: bool
    record: Accepted | Refused


@dataclass(frozen=True)
class Gate:
    """Scores graphs on the validation split and compares them with the fp32 graph.

    Attributes:
        answered: of the fp32 graph.
    """

    task: TaskSpec
    options: TrainingOptions
    split: EncodedSplit
    examples: Examples
    pad: int
    threads: int
    reference: Predictions
    max_drop: float

    @cached_property
    def answered(self) -> Answered:
        return score_predictions(self.task, self.options, self.reference, self.split, self.examples)

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
    outline: Outline, weights: Weights, train: EncodedSplit, gate: Gate, settings: Export, seed: int
) -> Quantised:
    """Find an int8 graph that passes the gate.

    Args:
        train: whose features set the ranges, the rounding, and the order in which inputs go back to fp32.
    """
    features = features_of(train)
    drawn = np.random.default_rng(seed).permutation(len(features))[: settings.calibration_examples]
    sample = [features[row] for row in drawn.tolist()]
    observed = observe(outline, weights, sample, gate.pad, gate.threads)
    ranges = observed.ranges
    rounded = {name: compensated(weights[name], moments) for name, moments in observed.moments.items()}
    tried: list[Attempt] = []
    accepted: list[tuple[onnx.ModelProto, Int8, Attempt]] = []

    def attempt(method: Method, in_fp32: Sequence[str] = ()) -> bool:
        int8 = Int8(ranges if method == "static" else None, frozenset(in_fp32), rounded)
        model = build(outline, weights, int8)
        verdict = gate.judge(model, batches=method == "static")
        tried.append({"method": method, "in_fp32": list(in_fp32), **verdict})
        if verdict["passes"]:
            accepted[:] = [(model, int8, tried[-1])]
        return verdict["passes"]

    if not attempt("static") and not attempt("dynamic"):
        method: Method = min(tried, key=lambda entry: entry["drop"])["method"]
        int8 = Int8(ranges if method == "static" else None, rounded=rounded)
        order = _by_damage(outline, weights, int8, list(ranges), sample, gate)
        _fewest(len(order) // 2, lambda count: attempt(method, order[:count]))

    common: Conditions = {
        "max_drop": settings.max_drop,
        "calibration_examples": len(sample),
        "weights": "int8 of 7 bits (-63..63), a scale for each output: sums cannot saturate on processors without VNNI",
    }
    if accepted:
        ((model, chosen, verdict),) = accepted
        return Quantised(
            model,
            chosen,
            verdict["method"] == "static",
            {"accepted": True, **common, **verdict, "products": products(model), "tried": len(tried)},
        )
    best = min(tried, key=lambda entry: entry["drop"])
    reason = (
        f"int8 loses at least {best['drop']:.2f} points of the validation score ({best['method']}, inputs in fp32: "
        f"{' '.join(best['in_fp32']) or 'none'}), more than max_drop {settings.max_drop}; {len(tried)} graphs were tried"
    )
    return Quantised(
        None, None, False, {"accepted": False, "reason": reason, **common, **best, "tried": len(tried)}
    )


@dataclass(frozen=True)
class Observed:
    """What products read on some texts.

    Attributes:
        ranges: lowest and highest value of each product's input.
        moments: sum of x xᵀ over the inputs x that a weight is multiplied with, by the weight's name.
    """

    ranges: dict[str, tuple[float, float]]
    moments: dict[str, NDArray[np.float32]]


def observe(
    outline: Outline, weights: Weights, sample: Sequence[Feature], pad: int, threads: int
) -> Observed:
    """Run the fp32 graph on some features and note what its products read."""
    model, readers = build_observed(outline, weights)
    session = open_session(model.SerializeToString(), threads)
    outputs = {(kind, label): f"{kind}:{label}" for label in readers for kind in ("low", "high", "moments")}
    ranges: dict[str, tuple[float, float]] = {}
    moments: dict[str, NDArray[np.float32]] = {}
    for feature in sample:
        values = session.run(list(outputs.values()), padded([feature], pad, session))
        found = dict(zip(outputs, values, strict=True))
        for label, names in readers.items():
            low, high = ranges.get(label, (np.inf, -np.inf))
            ranges[label] = (
                min(low, float(found["low", label])),
                max(high, float(found["high", label])),
            )
            for name in names:
                weight = f"{name}.weight"
                if weight in moments:
                    moments[weight] += found["moments", label]
                else:
                    moments[weight] = found["moments", label].copy()
    return Observed(ranges, moments)


def products(model: onnx.ModelProto) -> Products:
    """How many products with weights a graph computes in int8 and in fp32; the head's are in fp32 always."""
    kinds = [node.op_type for node in model.graph.node]
    return {"int8": kinds.count("MatMulIntegerToFloat"), "fp32": kinds.count("Gemm")}


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
