"""Where each architecture keeps its weights, brought to one form: what a graph of any of them is made of. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ligero.common.errors import DataError, MismatchError
from ligero.common.files import read_json
from ligero.settings.tasks import TaskType

Array = NDArray[np.float32]


@dataclass(frozen=True)
class LayerNames:
    """Names of one layer's weights, each without `.weight` and `.bias`; layers that share weights share names."""

    query: str
    key: str
    value: str
    attention_output: str
    attention_norm: str
    intermediate: str
    output: str
    output_norm: str


@dataclass(frozen=True)
class Outline:
    """The shape of an encoder with a task head: numbers, and names of weights.

    Attributes:
        activation: of the feed-forward part, `hidden_act` of the configuration.
        first_position: id of the first token's position.
        token_types: whether the model reads segment ids.
        projection: from the embeddings' width to the layers', where they differ in kind (ALBERT).
        layers: from the first to the last.
        head: dense layers that follow, each with the activation after it.
        reads_first_token: whether the head reads the first token's row only (classification).
        answers: whether the head's two outputs are the start and the end of an answer.
    """

    heads: int
    norm_epsilon: float
    activation: str
    first_position: int
    token_types: bool
    embeddings: str
    projection: str | None
    layers: tuple[LayerNames, ...]
    head: tuple[tuple[str, str | None], ...]
    reads_first_token: bool
    answers: bool


_BERT_LAYER = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "attention.output.LayerNorm",
    "intermediate.dense",
    "output.dense",
    "output.LayerNorm",
)
_ALBERT_LAYER = (
    "attention.query",
    "attention.key",
    "attention.value",
    "attention.dense",
    "attention.LayerNorm",
    "ffn",
    "ffn_output",
    "full_layer_layer_norm",
)
_DISTILBERT_LAYER = (
    "attention.q_lin",
    "attention.k_lin",
    "attention.v_lin",
    "attention.out_lin",
    "sa_layer_norm",
    "ffn.lin1",
    "ffn.lin2",
    "output_layer_norm",
)
_HEADS: dict[str, dict[TaskType, tuple[tuple[str, str | None], ...]]] = {
    model_type: {
        "sequence_classification": classification,
        "token_classification": (("classifier", None),),
        "question_answering": (("qa_outputs", None),),
    }
    for model_type, classification in {
        "albert": (("albert.pooler", "Tanh"), ("classifier", None)),
        "bert": (("bert.pooler.dense", "Tanh"), ("classifier", None)),
        "roberta": (("classifier.dense", "Tanh"), ("classifier.out_proj", None)),
        "distilbert": (("pre_classifier", "Relu"), ("classifier", None)),
    }.items()
}


def _layer(prefix: str, names: tuple[str, ...]) -> LayerNames:
    return LayerNames(*(f"{prefix}.{name}" for name in names))


def _albert_layers(config: Mapping[str, Any]) -> tuple[LayerNames, ...]:
    """ALBERT's layers are spread evenly over groups of layers, and all layers of a group have the same weights."""
    depth, groups = config["num_hidden_layers"], config.get("num_hidden_groups", 1)
    return tuple(
        _layer(
            f"albert.encoder.albert_layer_groups.{int(i / (depth / groups))}.albert_layers.{inner}",
            _ALBERT_LAYER,
        )
        for i in range(depth)
        for inner in range(config.get("inner_group_num", 1))
    )


def outline_of(folder: Path, task_type: TaskType) -> Outline:
    """Read the outline of a saved model off its `config.json`.

    Raises:
        DataError: an architecture that cannot be exported.
    """
    path = folder / "config.json"
    config: dict[str, Any] = read_json(path)
    kind = config.get("model_type")
    if kind not in _HEADS:
        raise DataError(path, None, f"model_type is {kind!r}; {', '.join(_HEADS)} can be exported.")
    if kind == "distilbert":
        heads, activation, epsilon = config["n_heads"], config["activation"], 1e-12
        layers = tuple(
            _layer(f"distilbert.transformer.layer.{i}", _DISTILBERT_LAYER) for i in range(config["n_layers"])
        )
    else:
        heads, activation = config["num_attention_heads"], config["hidden_act"]
        epsilon = config.get("layer_norm_eps", 1e-12)
        layers = (
            _albert_layers(config)
            if kind == "albert"
            else tuple(
                _layer(f"{kind}.encoder.layer.{i}", _BERT_LAYER) for i in range(config["num_hidden_layers"])
            )
        )
    pad = config.get("pad_token_id") or 0
    return Outline(
        heads=heads,
        norm_epsilon=epsilon,
        activation=activation,
        first_position=pad + 1 if kind == "roberta" else 0,
        token_types=config.get("type_vocab_size", 0) > 1,
        embeddings=f"{kind}.embeddings",
        projection="albert.encoder.embedding_hidden_mapping_in" if kind == "albert" else None,
        layers=layers,
        head=_HEADS[kind][task_type],
        reads_first_token=task_type == "sequence_classification",
        answers=task_type == "question_answering",
    )


def read_arrays(folder: Path) -> dict[str, Array]:
    """The weights of a model folder in fp32, from safetensors.

    Raises:
        DataError: no weights, or a file that cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    files = sorted(folder.glob("model*.safetensors"))
    if not files:
        raise DataError(
            folder, None, "no model.safetensors; a folder that save_pretrained wrote is expected."
        )
    arrays: dict[str, Array] = {}
    for file in files:
        try:
            arrays |= {name: np.asarray(array, np.float32) for name, array in load_file(file).items()}
        except (SafetensorError, OSError) as error:
            raise DataError(file, None, f"not a readable safetensors file: {error}.") from error
    return arrays


class Weights:
    """Arrays by name; `taken` knows which were asked for, so that a graph without some of them is noticed."""

    def __init__(self, folder: Path, arrays: Mapping[str, Array] | None = None) -> None:
        """Args:
        arrays: None reads those of the folder.
        """
        self.folder = folder
        self._arrays = read_arrays(folder) if arrays is None else dict(arrays)
        self._taken: set[str] = set()

    def __getitem__(self, name: str) -> Array:
        try:
            array = self._arrays[name]
        except KeyError as error:
            raise MismatchError(
                f"{self.folder}: its weights have no {name}; check model_type in config.json."
            ) from error
        self._taken.add(name)
        return array

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def replaced(self, arrays: Mapping[str, Array]) -> Weights:
        """The same with some other arrays."""
        return Weights(self.folder, {**self._arrays, **arrays})

    def refuse_unused(self) -> None:
        """Every weight must have found its place in the graph.

        Raises:
            MismatchError: some have not, such as those of an architecture's variant.
        """
        if left := sorted(self._arrays.keys() - self._taken):
            raise MismatchError(
                f"{self.folder}: {len(left)} weights have no place in the exported graph, the first is {left[0]}. "
                "Only plain encoders with one head can be exported."
            )
