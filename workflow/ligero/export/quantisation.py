"""int8 with a gate: a quantised graph is offered only where it scores as the fp32 graph does on the validation split.

Ranges come from the task's own training texts. Static quantisation is tried first: with fixed ranges a text's answer does not
depend on the texts beside it in a batch. Where it loses too much, ranges measured in each run are tried; then layers go back to
fp32 one by one, the one that does the most damage first; and where that does not help there is no int8 graph.
Quantisation-aware training is not tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx

from ligero.export.encoder import Int8, build
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
SENSITIVITY_FEATURES = 64
"""Training features on which the damage of each layer is measured."""


@dataclass(frozen=True)
class Quantised:
    """An int8 graph that the gate accepted, or none.

    Attributes:
        model: the graph; None where none was accepted.
        batches: whether texts may share a batch.
        record: the gate's figures for the manifest.
    """

    model: onnx.ModelProto | None
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

    @property
    def answered(self) -> Answered:
        return score_predictions(self.task, self.options, self.reference, self.split, self.examples)

    def judge(self, model: onnx.ModelProto, batches: bool) -> Verdict:
        """Score of a graph, drop against fp32 in points with the 95 % interval of the paired bootstrap, and whether it passes."""
        runner = GraphRunner(model.SerializeToString(), self.pad, batches, self.threads)
        found = predict_split(runner, self.split)
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
        train: whose features set the ranges and show each layer's damage.
    """
    features = features_of(train)
    drawn = np.random.default_rng(seed).permutation(len(features))[: settings.calibration_examples]
    sample = [features[row] for row in drawn.tolist()]
    ranges = observed_ranges(outline, weights, sample, gate.pad, gate.threads)
    every = frozenset(range(len(outline.layers)))
    tried: list[Attempt] = []

    def attempt(method: Method, layers: frozenset[int]) -> tuple[onnx.ModelProto, Attempt]:
        model = build(outline, weights, Int8(ranges if method == "static" else None, layers))
        verdict = gate.judge(model, batches=method == "static")
        tried.append({"method": method, "layers_in_fp32": sorted(every - layers), **verdict})
        return model, tried[-1]

    def candidates() -> Iterator[tuple[Method, frozenset[int]]]:
        yield "static", every
        yield "dynamic", every
        method: Method = min(tried, key=lambda entry: entry["drop"])["method"]
        left = every
        for layer in _by_damage(outline, weights, ranges if method == "static" else None, sample, gate)[:-1]:
            left -= {layer}
            yield method, left

    common: Conditions = {
        "max_drop": settings.max_drop,
        "calibration_examples": len(sample),
        "weights": "int8 of 7 bits (-63..63), a scale for each output: sums cannot saturate on processors without VNNI",
    }
    for method, layers in candidates():
        model, verdict = attempt(method, layers)
        if verdict["passes"]:
            return Quantised(
                model,
                method == "static",
                {"accepted": True, **common, **verdict, "products": products(model), "tried": len(tried)},
            )
    best = min(tried, key=lambda entry: entry["drop"])
    reason = (
        f"int8 loses at least {best['drop']:.2f} points of the validation score ({best['method']}, layers in fp32: "
        f"{best['layers_in_fp32'] or 'none'}), more than max_drop {settings.max_drop}; {len(tried)} graphs were tried"
    )
    return Quantised(
        None, False, {"accepted": False, "reason": reason, **common, **best, "tried": len(tried)}
    )


def observed_ranges(
    outline: Outline, weights: Weights, sample: Sequence[Feature], pad: int, threads: int
) -> dict[str, tuple[float, float]]:
    """Lowest and highest value of each product's input over some features."""
    session = open_session(build(outline, weights, observe=True).SerializeToString(), threads)
    names = [output.name for output in session.get_outputs() if output.name.startswith(("low:", "high:"))]
    lows: dict[str, float] = {}
    highs: dict[str, float] = {}
    for feature in sample:
        for name, value in zip(names, session.run(names, padded([feature], pad, session)), strict=True):
            kind, _, label = name.partition(":")
            if kind == "low":
                lows[label] = min(lows.get(label, np.inf), float(value))
            else:
                highs[label] = max(highs.get(label, -np.inf), float(value))
    return {label: (low, highs[label]) for label, low in lows.items()}


def products(model: onnx.ModelProto) -> Products:
    """How many products with weights a graph computes in int8 and in fp32; the head's are in fp32 always."""
    kinds = [node.op_type for node in model.graph.node]
    return {"int8": kinds.count("MatMulIntegerToFloat"), "fp32": kinds.count("Gemm")}


def _by_damage(
    outline: Outline, weights: Weights, ranges: Ranges | None, sample: Sequence[Feature], gate: Gate
) -> list[int]:
    """Layers, the one first whose int8 products alone move the logits most."""
    few = sample[:SENSITIVITY_FEATURES]

    def logits(int8: Int8 | None) -> np.ndarray:
        model = build(outline, weights, int8).SerializeToString()
        outputs = GraphRunner(model, gate.pad, ranges is not None, gate.threads).run(few)
        found = predictions_of(outputs, gate.task.type)
        return np.concatenate([found.logits.ravel(), found.start, found.end])

    reference = logits(None)
    damage = {
        layer: float(np.abs(logits(Int8(ranges, frozenset({layer}))) - reference).mean())
        for layer in range(len(outline.layers))
    }
    return sorted(damage, key=lambda layer: -damage[layer])
