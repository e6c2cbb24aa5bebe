"""Students cut from a deeper checkpoint: which layers they keep.

ALBETO base-n is ALBETO base's checkpoint with `num_hidden_layers = n`: its layers share one set of weights, so every
key loads and the parameter count does not change. Where layers have weights of their own (BERT, RoBERTa,
DistilBERT) the student keeps n layers: evenly spaced from the first on, as DistilBERT was started from BERT's every other
layer (Sanh et al. 2019, section 3), or the first or last ones (Sajjad et al., "On the effect of dropping layers of pre-trained
transformer models", Computer Speech & Language 2023, section 3, where keeping the first did best).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

from ligero.common.errors import ConfigurationError
from ligero.models.architectures import family_of
from ligero.settings.distillation import InitialLayers

Value = TypeVar("Value")


def kept_layers(teacher_layers: int, student_layers: int, which: InitialLayers = "spread") -> list[int]:
    """Indices of the teacher's layers that a student keeps, in order: evenly spaced (with the first), the first, or the last.

    Raises:
        ConfigurationError: the student has more layers than the teacher.
    """
    if not 1 <= student_layers <= teacher_layers:
        raise ConfigurationError(
            f"num_hidden_layers: {student_layers} layers cannot be cut from a checkpoint of {teacher_layers}"
        )
    if which == "first":
        return list(range(student_layers))
    if which == "last":
        return list(range(teacher_layers - student_layers, teacher_layers))
    return [index * teacher_layers // student_layers for index in range(student_layers)]


def cut_layers(weights: Mapping[str, Value], model_type: str, kept: list[int]) -> dict[str, Value]:
    """The weights with only the layers `kept`, renumbered from 0; shared layers (ALBERT) stay untouched."""
    layers = family_of(model_type).layers
    if layers is None:
        return dict(weights)
    pattern = re.compile(rf"^(.*?{re.escape(layers)})(\d+)(\..*)$")
    position = {old: new for new, old in enumerate(kept)}
    result = {}
    for key, value in weights.items():
        if (match := pattern.match(key)) is None:
            result[key] = value
        elif int(match[2]) in position:
            result[f"{match[1]}{position[int(match[2])]}{match[3]}"] = value
    return result
