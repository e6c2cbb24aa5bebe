"""Parameters and operations of an architecture by formula, without building it. Needs no torch."""

from __future__ import annotations

from ligero.settings.models import Architecture
from ligero.settings.pretraining import Pretraining

TRAINING = 3
"""Forward and backward pass, in forward passes."""
ALBERT_EMBEDDING = 128
"""transformers' default width of ALBERT's factorised embedding."""


def embedded_width(shape: Architecture) -> int:
    """Width of a row of the embedding matrix."""
    return (shape.embedding_size or ALBERT_EMBEDDING) if shape.type == "albert" else shape.hidden_size


def parameters(shape: Architecture, labels: int) -> int:
    """Of a sequence classifier: embeddings, layers (ALBERT's once), the head; `vocab_size` must be set."""
    assert shape.vocab_size is not None
    albert, width, embedded = shape.type == "albert", shape.hidden_size, embedded_width(shape)
    segments = 0 if shape.type == "distilbert" else shape.type_vocab_size
    rows = shape.vocab_size + shape.max_position_embeddings + segments
    layer = layer_weights(shape) + 9 * width + shape.intermediate_size  # with the biases and two norms
    mapping = embedded * width + width if albert else 0
    head = width**2 + width + width * labels + labels
    return (
        rows * embedded + 2 * embedded + mapping + (1 if albert else shape.num_hidden_layers) * layer + head
    )


def layer_weights(shape: Architecture) -> int:
    """Weights of the linear layers in one layer, without biases."""
    return 4 * shape.hidden_size**2 + 2 * shape.hidden_size * shape.intermediate_size


def macs(shape: Architecture, labels: int, length: int) -> int:
    """Multiply-accumulate operations of a sequence classifier on one input, as thop sees them.

    One for each weight of a linear layer and token, four for each element of a layer norm, the head on the first token alone;
    neither embeddings nor the products of attention (`attention_macs`).
    """
    width, layers, embedded = shape.hidden_size, shape.num_hidden_layers, embedded_width(shape)
    mapping = embedded * width if shape.type == "albert" else 0
    norms = 4 * length * (embedded + 2 * layers * width)
    return length * (layers * layer_weights(shape) + mapping) + norms + width**2 + width * labels


def forward_macs(shape: Architecture, length: int) -> int:
    """MACs of an encoder's matrix products on one input: layers with attention, and ALBERT's embedding projection."""
    mapping = embedded_width(shape) * shape.hidden_size if shape.type == "albert" else 0
    return length * (shape.num_hidden_layers * layer_weights(shape) + mapping) + attention_macs(shape, length)


def pretraining_macs(shape: Architecture, recipe: Pretraining) -> float:
    """MACs that a forward pass of a recipe needs a token.

    Masked language modelling reads the last layer at predicted tokens and [CLS] alone: there the others need keys and values only. A
    teacher's states are learned at all tokens, and the vocabulary head costs nothing where it is not trained.
    """
    width, length, lesson = shape.hidden_size, recipe.sequence_length, recipe.teacher
    total = forward_macs(shape, length) / length
    projected = recipe.masked_share + recipe.cls_words / length
    if lesson:
        total += width * lesson.dimensions
        projected *= bool(lesson.masked_weight)
    else:
        unread = max(0.0, 1 - recipe.masked_share - 1 / length)
        total -= unread * (layer_weights(shape) - 2 * width**2 + 2 * length * width)
    return total + projected * embedded_width(shape) * (width + (shape.vocab_size or 0))


def attention_macs(shape: Architecture, length: int) -> int:
    """MACs of the two products of self-attention (scores and mixing): 2 * layers * length^2 * hidden."""
    return 2 * shape.num_hidden_layers * length**2 * shape.hidden_size
