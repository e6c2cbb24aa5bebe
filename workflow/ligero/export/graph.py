"""An ONNX graph under construction: nodes, and initialisers that are stored once however many nodes read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

OPSET, IR_VERSION = 21, 10
MICROSOFT = "com.microsoft"
"""Domain of onnxruntime's own operators."""


class Graph:
    """Nodes and initialisers; every method that adds one returns the name of its value."""

    def __init__(self, outer: Graph | None = None, prefix: str = "") -> None:
        """Args:
        outer: the graph that this one is a branch of; its values and initialisers are known here.
        prefix: of the names of values, which no two branches may share.
        """
        self.nodes: list[onnx.NodeProto] = []
        self._initialisers: dict[str, onnx.TensorProto] = outer._initialisers if outer else {}
        self._prefix = prefix

    def constant(self, name: str, make: Callable[[], NDArray[Any]]) -> str:
        """The initialiser of this name; `make` is called the first time only."""
        if name not in self._initialisers:
            self._initialisers[name] = numpy_helper.from_array(np.array(make(), order="C"), name)
        return name

    def integers(self, values: Sequence[int] | int) -> str:
        """Whole numbers: a vector from a sequence, a scalar from an int."""
        array = np.array(values, np.int64)
        name = f"{'vector' if array.ndim else 'scalar'}_{'_'.join(map(str, np.atleast_1d(array)))}"
        return self.constant(name, lambda: array)

    def number(self, value: float) -> str:
        """A float as a scalar."""
        return self.constant(f"float_{value!r}", lambda: np.array(value, np.float32))

    def op(
        self, kind: str, *inputs: str, name: str = "", domain: str = "", outputs: int = 1, **attributes: Any
    ) -> str:
        """A node's first output; the others are called NAME_1, NAME_2, ..."""
        name = name or f"{self._prefix}{kind}_{len(self.nodes)}"
        names = [name, *(f"{name}_{number}" for number in range(1, outputs))]
        self.nodes.append(helper.make_node(kind, inputs, names, name=name, domain=domain, **attributes))
        return name

    def choose(
        self, condition: str, kind: str, then: Sequence[str], otherwise: Sequence[str], **attributes: Any
    ) -> str:
        """The same operator on `then` where the scalar `condition` holds, else on `otherwise`."""
        name = f"{self._prefix}{kind}_{len(self.nodes)}"

        def branch(inputs: Sequence[str], suffix: str) -> onnx.GraphProto:
            node = helper.make_node(kind, inputs, [f"{name}_{suffix}"], name=f"{name}_{suffix}", **attributes)
            output = helper.make_tensor_value_info(f"{name}_{suffix}", onnx.TensorProto.FLOAT, None)
            return helper.make_graph([node], f"{name}_{suffix}", [], [output])

        return self.op(
            "If",
            condition,
            name=name,
            then_branch=branch(then, "then"),
            else_branch=branch(otherwise, "else"),
        )

    def unless(
        self, condition: str, kept: Sequence[str], computed: Graph, values: Sequence[str]
    ) -> list[str]:
        """`kept` where the scalar `condition` holds, else `values`, which are computed only then; all are fp32.

        Args:
            computed: a branch of this graph, with the nodes that make `values`.
        """
        name = f"{self._prefix}If_{len(self.nodes)}"
        keeping = Graph(self, f"{name}_then_")
        branches = {
            f"{suffix}_branch": helper.make_graph(
                graph.nodes,
                f"{name}_{suffix}",
                [],
                [helper.make_tensor_value_info(made, onnx.TensorProto.FLOAT, None) for made in outputs],
            )
            for suffix, graph, outputs in (
                ("then", keeping, [keeping.op("Identity", value) for value in kept]),
                ("else", computed, values),
            )
        }
        first = self.op("If", condition, name=name, outputs=len(kept), **branches)
        return [first, *(f"{first}_{number}" for number in range(1, len(kept)))]

    def model(
        self,
        inputs: Mapping[str, Sequence[str]],
        outputs: Mapping[str, Sequence[str | int]],
        numbers: Sequence[str] = (),
    ) -> onnx.ModelProto:
        """The finished model.

        Args:
            inputs: names of the int64 inputs, with the names of their axes.
            outputs: names of the fp32 outputs, with names or sizes of their axes.
            numbers: names of further inputs, each a single fp32 number.
        """
        graph = helper.make_graph(
            self.nodes,
            "encoder",
            [
                helper.make_tensor_value_info(name, onnx.TensorProto.INT64, axes)
                for name, axes in inputs.items()
            ]
            + [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, []) for name in numbers],
            [
                helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, axes)
                for name, axes in outputs.items()
            ],
            list(self._initialisers.values()),
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="ligero")
