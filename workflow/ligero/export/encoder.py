"""The forward pass of an encoder with a task head as an ONNX graph, in fp32 or with int8 products.

The graph is written node by node instead of traced. Traced graphs repeat a layer that ALBERT has once (onnxruntime issue
10340), hide its weights behind nodes from quantisers, and take seconds a model; this takes milliseconds, and export compares its
logits with the model's own. Two shortcuts are exact in real numbers:

- A classifier reads the first token only, so the last layer computes one row of queries. With one row, keys and values need not
  be computed: q·(K x) = (Kᵀ q)·x, and a weighted mean of V x is V of the weighted mean of x. (The key's bias adds the same to
  all scores, which softmax ignores.)
- Attention takes its mask into account only where a batch has padding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import onnx
from numpy.typing import NDArray

from ligero.common.errors import LigeroError
from ligero.export.graph import MICROSOFT, Graph
from ligero.export.weights import Array, LayerNames, Outline, Weights

WEIGHT_LEVELS = 63
"""Quantised weights lie in -63..63, seven bits. Processors without VNNI add two products of a byte and a weight in 16 bits,
2 * 255 * 63 = 32130 at most, which fits; with eight bits (127) the sum overflows and is cut off silently."""
EMBEDDING_LEVELS = 127
"""Quantised embeddings are looked up, never multiplied in int8: all eight bits are right everywhere."""

_ACTIVATIONS: dict[str, Callable[[Graph, str], str]] = {
    "gelu": lambda graph, x: graph.op("Gelu", x),
    "gelu_new": lambda graph, x: graph.op("Gelu", x, approximate="tanh"),
    "gelu_pytorch_tanh": lambda graph, x: graph.op("Gelu", x, approximate="tanh"),
    "relu": lambda graph, x: graph.op("Relu", x),
}


@dataclass(frozen=True)
class Int8:
    """How products are quantised.

    Attributes:
        ranges: lowest and highest value of each product's input, from calibration (static quantisation); None measures the
            range anew in every run (dynamic quantisation).
        in_fp32: inputs of products that are not quantised; the weights that such an input is multiplied with are stored in int8 all
            the same, and made fp32 when the graph is loaded.
        smoothing: by which each channel of a product's input is divided before it is quantised, [inputs]; the weights are
            multiplied by the same. Inputs that share a weight share it.
        rounded: weights, multiplied so, as whole numbers in -WEIGHT_LEVELS..WEIGHT_LEVELS, [outputs, inputs], by name; those that
            are not there are rounded to the nearest.
    """

    ranges: Mapping[str, tuple[float, float]] | None
    in_fp32: frozenset[str] = frozenset()
    smoothing: Mapping[str, Array] = field(default_factory=dict)
    rounded: Mapping[str, NDArray[np.int8]] = field(default_factory=dict)


def build(outline: Outline, weights: Weights, int8: Int8 | None = None) -> onnx.ModelProto:
    """The graph of a model: int64 inputs [batch, length], fp32 logits.

    Outputs: `logits` [batch, labels] (classification), [batch, length, labels] (tagging); `start` and `end`,
    [batch, length] (question answering).

    Args:
        int8: None for fp32.

    Raises:
        LigeroError: an activation that is not known here.
        MismatchError: weights that the graph has no place for.
    """
    model = _Builder(outline, weights, int8).model()
    weights.refuse_unused()
    return model


def build_with_exits(outline: Outline, weights: Weights, int8: Int8 | None = None) -> onnx.ModelProto:
    """The graph of a model that may leave after any layer, each read by the same head (`ligero.training.exits`).

    A text leaves after the first layer whose answer is certain enough: the largest probability of its labels, the mean of those of its
    tokens (tagging; the least certain token says nothing, since pieces inside words and special tokens learn no label), or the
    smaller one of start and end (question answering) is at least `threshold`. Layers run
    until the last text of a batch has left, and every text keeps the logits of its own exit: what it gets does not depend on the
    texts beside it. A threshold above 1 reads every text to the full depth.

    Inputs: those of `build`, and `threshold`, a single fp32 number. Outputs: those of `build`, and `repetitions` [batch], the layers
    that each text was read by.
    """
    model = _Builder(outline, weights, int8).model_with_exits()
    weights.refuse_unused()
    return model


def build_every_exit(outline: Outline, weights: Weights, int8: Int8 | None = None) -> onnx.ModelProto:
    """The graph with the logits of every exit as outputs `OUTPUT:LAYER`, layers counted from 1, and `certainty:LAYER` [batch]."""
    return _Builder(outline, weights, int8).model_of_every_exit()


def build_observed(outline: Outline, weights: Weights) -> tuple[onnx.ModelProto, dict[str, list[str]]]:
    """The fp32 graph with outputs about each product's input x [n, width], and the weights that each input is multiplied with.

    Outputs: `low:INPUT` and `high:INPUT`, the range of each channel, [width]; `moments:INPUT`, xᵀ x, [width, width].
    """
    builder = _Builder(outline, weights, None, observe=True)
    return builder.model(), builder.readers


@dataclass
class _Builder:
    outline: Outline
    weights: Weights
    int8: Int8 | None
    observe: bool = False
    graph: Graph = field(default_factory=Graph)
    readers: dict[str, list[str]] = field(default_factory=dict)
    _quantised: dict[str, tuple[str, str, str]] = field(default_factory=dict)

    @property
    def width(self) -> int:
        return len(self.weights[f"{self.outline.layers[0].output}.bias"])

    def model(self) -> onnx.ModelProto:
        x = self._embedded()
        for number in range(len(self.outline.layers)):
            x = self._layer(x, number)
        outputs = self._named(self._head(self._read(x, len(self.outline.layers))))
        for label in self.readers if self.observe else ():
            outputs |= {f"{kind}:{label}": ["width"] for kind in ("low", "high")}
            outputs[f"moments:{label}"] = ["width", "width"]
        return self.graph.model(self._inputs, outputs)

    def model_with_exits(self) -> onnx.ModelProto:
        depth, outer = len(self.outline.layers), self.graph
        x = self._layer(self._embedded(), 0)
        logits = self._head(self._read(x, 1))
        left = self._leaves(logits)
        one = outer.number(1.0)
        count = outer.op("Add", outer.op("Mul", left, outer.number(0.0)), one)
        nothing = outer.constant("nothing", lambda: np.zeros((0, self.width), np.float32))
        for number in range(1, depth):
            everyone = outer.op("Greater", outer.op("ReduceMin", left, keepdims=0), outer.number(0.0))
            g = self.graph = Graph(outer, f"{number}.")
            deeper = self._layer(x, number)
            found = self._head(self._read(deeper, number + 1))
            text = g.op(
                "Reshape", left, g.integers([-1, *([1] * (1 if self.outline.reads_first_token else 2))])
            )
            values = [
                deeper,
                g.op("Where", g.op("Cast", text, to=onnx.TensorProto.BOOL), logits, found),
                g.op("Max", left, self._leaves(found)),
                g.op("Add", count, g.op("Sub", one, left)),
            ]
            self.graph = outer
            x, logits, left, count = outer.unless(everyone, [nothing, logits, left, count], g, values)
        outputs = self._named(logits)
        outer.op("Identity", count, name="repetitions")
        return outer.model(self._inputs, {**outputs, "repetitions": ["batch"]}, ["threshold"])

    def model_of_every_exit(self) -> onnx.ModelProto:
        x, outputs = self._embedded(), dict[str, list[str | int]]()
        for number in range(len(self.outline.layers)):
            x = self._layer(x, number)
            logits = self._head(self._read(x, number + 1))
            outputs |= self._named(logits, f":{number + 1}")
            self.graph.op("Identity", self._certainty(logits), name=f"certainty:{number + 1}")
            outputs[f"certainty:{number + 1}"] = ["batch"]
        return self.graph.model(self._inputs, outputs)

    @property
    def _inputs(self) -> dict[str, list[str]]:
        names = ["input_ids", "attention_mask", *(["token_type_ids"] if self.outline.token_types else [])]
        return {name: ["batch", "length"] for name in names}

    # --- parts of the encoder -----------------------------------------------------------------------------------------

    def _embedded(self) -> str:
        """What the first layer reads, [batch * length, width]."""
        o, g = self.outline, self.graph
        self.shape = g.op("Shape", "input_ids", name="shape")
        self.rows = g.op("Concat", self.shape, g.integers([self.width]), axis=0, name="rows")
        self.unpadded = g.op("Greater", g.op("ReduceMin", "attention_mask", keepdims=0), g.integers(0))
        self.mask = g.op("Cast", "attention_mask", to=onnx.TensorProto.INT32, name="mask")
        x = self._embeddings()
        return self._product(x, o.projection, "projection") if o.projection else x

    def _embeddings(self) -> str:
        """[batch * length, embedding width]."""
        o, g = self.outline, self.graph
        positions = g.constant(
            "positions",
            lambda: self.weights[f"{o.embeddings}.position_embeddings.weight"][o.first_position :],
        )
        length = g.op("Gather", self.shape, g.integers([1]))
        x = g.op(
            "Add",
            self._looked_up(f"{o.embeddings}.word_embeddings.weight"),
            g.op("Slice", positions, g.integers([0]), length, g.integers([0])),
        )
        types = f"{o.embeddings}.token_type_embeddings.weight"
        if types in self.weights:
            table = self._vector(types)
            x = g.op("Add", x, g.op("Gather", table, "token_type_ids") if o.token_types else table)
        width = self.weights[f"{o.embeddings}.LayerNorm.weight"].size
        return self._norm(g.op("Reshape", x, g.integers([-1, width])), f"{o.embeddings}.LayerNorm")

    def _looked_up(self, name: str) -> str:
        """Rows of the word embeddings; in int8 each row has a scale of its own."""
        g = self.graph
        if self.int8 is None:
            return g.op("Gather", self._vector(name), "input_ids")
        values, scales = quantised(self.weights[name], EMBEDDING_LEVELS, axis=1)
        rows = g.op("Gather", g.constant(f"{name}.int8", lambda: values), "input_ids")
        factors = g.op("Gather", g.constant(f"{name}.scale", lambda: scales), "input_ids")
        return g.op("Mul", g.op("Cast", rows, to=onnx.TensorProto.FLOAT), factors)

    def _layer(self, x: str, number: int) -> str:
        """[batch * length, width]; of the last layer, where the head reads the first token only, [batch, width]."""
        g, names = self.graph, self.outline.layers[number]
        if self.outline.reads_first_token and number == len(self.outline.layers) - 1:
            x, context = self._attention_of_first_row(x, names, number)
        else:
            context = self._attention(x, names, number)
        attended = self._product(context, names.attention_output, f"{number}.context")
        x = self._norm(g.op("Add", attended, x), names.attention_norm)
        inner = self._product(x, names.intermediate, f"{number}.attended")
        inner = self._activated(inner)
        return self._norm(
            g.op("Add", self._product(inner, names.output, f"{number}.inner"), x), names.output_norm
        )

    def _attention(self, x: str, names: LayerNames, number: int) -> str:
        g = self.graph
        label = f"{number}.hidden"
        inputs = [
            g.op("Reshape", self._product(x, name, label), self.rows)
            for name in (names.query, names.key, names.value)
        ]
        context = g.choose(
            self.unpadded,
            "MultiHeadAttention",
            inputs,
            [*inputs, "", self.mask],
            domain=MICROSOFT,
            num_heads=self.outline.heads,
        )
        return g.op("Reshape", context, g.integers([-1, self.width]))

    def _attention_of_first_row(self, x: str, names: LayerNames, number: int) -> tuple[str, str]:
        """The first row of each text [batch, width], and what it attends to, of the same shape."""
        g, heads, width = self.graph, self.outline.heads, self.width
        size = width // heads
        hidden = g.op("Reshape", x, self.rows)
        self._observe(x, f"{number}.hidden", names.key, names.value)
        first = g.op("Gather", hidden, g.integers(0), axis=1)
        query = self._product(first, names.query, f"{number}.first")
        query = g.op("Transpose", g.op("Reshape", query, g.integers([-1, heads, size])), perm=[1, 0, 2])
        keys = g.op("Transpose", self._by_head(names.key, number), perm=[0, 2, 1])  # [heads, size, width]
        asked = g.op("Transpose", g.op("MatMul", query, keys), perm=[1, 0, 2])  # [batch, heads, width]
        scores = g.op("MatMul", asked, g.op("Transpose", hidden, perm=[0, 2, 1]))
        scores = g.op("Mul", scores, g.number(size**-0.5))
        is_text = g.op("Cast", g.op("Unsqueeze", self.mask, g.integers([1])), to=onnx.TensorProto.BOOL)
        scores = g.op("Where", is_text, scores, g.number(float(np.finfo(np.float32).min)))
        mean = g.op("MatMul", g.op("Softmax", scores, axis=-1), hidden)  # [batch, heads, width]
        context = g.op(
            "MatMul", g.op("Transpose", mean, perm=[1, 0, 2]), self._by_head(names.value, number)
        )  # [heads, batch, size]
        context = g.op("Reshape", g.op("Transpose", context, perm=[1, 0, 2]), g.integers([-1, width]))
        self.weights[f"{names.key}.bias"]  # adds the same to all scores
        return first, g.op("Add", context, self._vector(f"{names.value}.bias"))

    def _by_head(self, name: str, number: int) -> str:
        """A projection's weights, [heads, width, size], cut out of the one stored copy when the graph is loaded."""
        g, heads = self.graph, self.outline.heads
        matrix = self._stored(name, f"{number}.hidden")
        parts = g.op("Reshape", matrix, g.integers([self.width, heads, self.width // heads]))
        return g.op("Transpose", parts, perm=[1, 0, 2])

    def _read(self, x: str, layers: int) -> str:
        """The rows that the head reads of what some layers made: all, or the first of each text."""
        g = self.graph
        if not self.outline.reads_first_token or layers == len(self.outline.layers):
            return x
        return g.op("Gather", g.op("Reshape", x, self.rows), g.integers(0), axis=1)

    def _head(self, x: str) -> str:
        """[batch, labels] (classification), [batch, length, labels] (tagging), [batch, length, 2] (question answering)."""
        g, o = self.graph, self.outline
        labels = 0
        for name, activation in o.head:
            x = g.op("Gemm", x, self._matrix(name), self._vector(f"{name}.bias"))
            x = g.op(activation, x) if activation else x
            labels = len(self.weights[f"{name}.bias"])
        if o.reads_first_token:
            return x
        return g.op("Reshape", x, g.op("Concat", self.shape, g.integers([labels]), axis=0))

    def _named(self, logits: str, suffix: str = "") -> dict[str, list[str | int]]:
        """Make logits outputs of the graph; returns the outputs with their axes."""
        g, o = self.graph, self.outline
        if o.answers:
            for number, name in enumerate(("start", "end")):
                g.op("Gather", logits, g.integers(number), axis=2, name=name + suffix)
            return {name + suffix: ["batch", "length"] for name in ("start", "end")}
        g.op("Identity", logits, name=f"logits{suffix}")
        labels = len(self.weights[f"{o.head[-1][0]}.bias"])
        return {f"logits{suffix}": ["batch", *([] if o.reads_first_token else ["length"]), labels]}

    def _leaves(self, logits: str) -> str:
        """1 for each text that is certain enough, else 0, [batch]."""
        certain = self.graph.op("GreaterOrEqual", self._certainty(logits), "threshold")
        return self.graph.op("Cast", certain, to=onnx.TensorProto.FLOAT)

    def _certainty(self, logits: str) -> str:
        """How probable each text's answer is, [batch]; see `build_with_exits`."""
        g, o = self.graph, self.outline
        if o.reads_first_token:
            return g.op("ReduceMax", g.op("Softmax", logits, axis=1), g.integers([1]), keepdims=0)
        if o.answers:
            is_text = g.op("Unsqueeze", g.op("Cast", self.mask, to=onnx.TensorProto.BOOL), g.integers([2]))
            logits = g.op("Where", is_text, logits, g.number(float(np.finfo(np.float32).min)))
            best = g.op("ReduceMax", g.op("Softmax", logits, axis=1), g.integers([1]), keepdims=0)
            return g.op("ReduceMin", best, g.integers([1]), keepdims=0)
        tokens = g.op("Cast", self.mask, to=onnx.TensorProto.FLOAT)
        best = g.op("ReduceMax", g.op("Softmax", logits, axis=2), g.integers([2]), keepdims=0)
        sums = (
            g.op("ReduceSum", values, g.integers([1]), keepdims=0)
            for values in (g.op("Mul", best, tokens), tokens)
        )
        return g.op("Div", *sums)

    # --- pieces -------------------------------------------------------------------------------------------------------

    def _activated(self, x: str) -> str:
        known = _ACTIVATIONS.get(self.outline.activation)
        if known is None:
            raise LigeroError(
                f"{self.weights.folder}/config.json: activation '{self.outline.activation}' cannot be exported; "
                f"expected one of {', '.join(_ACTIVATIONS)}."
            )
        return known(self.graph, x)

    def _norm(self, x: str, name: str) -> str:
        g = self.graph
        scale, bias = self._vector(f"{name}.weight"), self._vector(f"{name}.bias")
        return g.op("LayerNormalization", x, scale, bias, epsilon=self.outline.norm_epsilon)

    def _vector(self, name: str) -> str:
        return self.graph.constant(name, lambda: self.weights[name])

    def _matrix(self, name: str) -> str:
        """A weight in fp32, [inputs, outputs]."""
        return self.graph.constant(f"{name}.weight", lambda: self.weights[f"{name}.weight"].T)

    def _product(self, x: str, name: str, label: str) -> str:
        """x [n, inputs] times a weight, plus its bias: [n, outputs].

        Args:
            label: what x is called in calibration, and in the choice between fp32 and int8.
        """
        g = self.graph
        self._observe(x, label, name)
        bias = self._vector(f"{name}.bias")
        if self.int8 is None or label in self.int8.in_fp32:
            return g.op("Gemm", x, self._stored(name, label), bias)
        values, scales = self._stored_int8(name, label)
        quantised, scale, zero = self._quantised_input(x, label, self.int8)
        weight_zero = g.constant("int8_zero", lambda: np.array(0, np.int8))
        return g.op(
            "MatMulIntegerToFloat",
            *(quantised, values, scale, scales, zero, weight_zero, bias),
            domain=MICROSOFT,
        )

    def _observe(self, x: str, label: str, *readers: str) -> None:
        """Note which weights x is multiplied with, and add its figures to the outputs if they are asked for."""
        g, is_new = self.graph, label not in self.readers
        self.readers.setdefault(label, []).extend(readers)
        if self.observe and is_new:
            g.op("ReduceMin", x, g.integers([0]), keepdims=0, name=f"low:{label}")
            g.op("ReduceMax", x, g.integers([0]), keepdims=0, name=f"high:{label}")
            g.op("MatMul", g.op("Transpose", x, perm=[1, 0]), x, name=f"moments:{label}")

    def _stored(self, name: str, label: str) -> str:
        """A weight in fp32, [inputs, outputs]: an initialiser, or made of the int8 one when the graph is loaded."""
        g = self.graph
        if self.int8 is None:
            return self._matrix(name)
        values, scales = self._stored_int8(name, label)
        matrix = g.op("Mul", g.op("Cast", values, to=onnx.TensorProto.FLOAT), scales)
        return g.op("Mul", matrix, self._divisors(label, 1)) if label in self.int8.smoothing else matrix

    def _stored_int8(self, name: str, label: str) -> tuple[str, str]:
        """A weight in int8 [inputs, outputs], and the scale of each output."""
        g = self.graph
        rounded = self.int8.rounded if self.int8 else {}
        factors = self.int8.smoothing.get(label, np.float32(1)) if self.int8 else np.float32(1)
        made = cache(lambda: quantised(self.weights[f"{name}.weight"] * factors, WEIGHT_LEVELS, axis=1))
        # Neither is made again where another layer has made them.
        return (
            g.constant(f"{name}.int8", lambda: rounded.get(f"{name}.weight", made()[0]).T),
            g.constant(f"{name}.scale", lambda: made()[1][:, 0]),
        )

    def _divisors(self, label: str, axes: int = 0) -> str:
        """One by the smoothing of an input's channels, [inputs] or [inputs, 1]."""
        smoothing = self.int8.smoothing[label] if self.int8 else np.ones(1, np.float32)
        name = f"{label}.smoothing.{axes}"
        return self.graph.constant(name, lambda: (1 / smoothing).reshape([-1] + [1] * axes))

    def _quantised_input(self, x: str, label: str, int8: Int8) -> tuple[str, str, str]:
        """x in uint8, with its scale and its zero; products of the same input share them."""
        g = self.graph
        key = x
        if key not in self._quantised:
            if label in int8.smoothing:
                x = g.op("Mul", x, self._divisors(label))
            if int8.ranges is None:
                name = g.op("DynamicQuantizeLinear", x, outputs=3)
                self._quantised[key] = (name, f"{name}_1", f"{name}_2")
            else:
                scale, zero = activation_scale(*int8.ranges[label])
                found = (
                    g.constant(f"{label}.scale", lambda: np.array(scale, np.float32)),
                    g.constant(f"{label}.zero", lambda: np.array(zero, np.uint8)),
                )
                self._quantised[key] = (g.op("QuantizeLinear", x, *found), *found)
        return self._quantised[key]


def activation_scale(low: float, high: float) -> tuple[float, int]:
    """Scale and zero of a uint8 that spans [low, high] and holds 0 exactly, as DynamicQuantizeLinear defines them."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / 255 or 1.0
    return scale, int(np.clip(np.rint(-low / scale), 0, 255))


def quantised(
    weights: NDArray[np.float32], levels: int, axis: int
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Symmetric int8 values in -levels..levels, and the scales along `axis` (kept as an axis of size 1)."""
    largest = np.abs(weights).max(axis=axis, keepdims=True)
    scales = np.where(largest > 0, largest / levels, 1.0).astype(np.float32)
    return np.rint(weights / scales).astype(np.int8), scales
