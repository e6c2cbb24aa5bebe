"""How systems look in every figure and on the report page: a colour for each architecture, a shape for each kind of system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ligero.settings import plan
from ligero.settings.study import Regime, Study

Shape = Literal["circle", "triangle", "wedge", "diamond", "square"]


@dataclass(frozen=True)
class Look:
    """Of an architecture's systems.

    Attributes:
        name: as printed.
        colour: on white, with a contrast of 3:1 or more; `dark`: on a dark page.
        shape: of fine-tuned systems, so that architectures differ in greyscale too.
    """

    name: str
    colour: str
    dark: str
    shape: Shape


LOOKS: dict[str, Look] = {
    "albert": Look("ALBERT", "#0072B2", "#56B4E9", "circle"),
    "bert": Look("BERT", "#00805C", "#2FC79A", "triangle"),
    "distilbert": Look("DistilBERT", "#C24E00", "#FF9B57", "wedge"),
    "roberta": Look("RoBERTa", "#A0417F", "#E79AC6", "diamond"),
}
"""By type of architecture. Hues of Okabe and Ito (2008), distinguishable with any colour vision."""

DISTILLED: Shape = "square"
"""The shape of distilled students, in the colour of their architecture."""
MARKERS: dict[Shape, str] = {"circle": "o", "triangle": "^", "wedge": "v", "diamond": "D", "square": "s"}
"""matplotlib's names."""


def architecture_of(study: Study, regime: Regime, model: str) -> str:
    """Type of a system's architecture; a student has that of the model it starts from."""
    return study.models[plan.initial_model(study, regime, model)].architecture.type


def shape_of(study: Study, regime: Regime, model: str) -> Shape:
    """The shape of a system's mark."""
    return DISTILLED if regime == "distillation" else LOOKS[architecture_of(study, regime, model)].shape


def label_of(study: Study, regime: Regime, model: str) -> str:
    """A system's name; of a student that shares its name with a fine-tuned model, which of the two it is."""
    name = plan.system_name(study, regime, model)
    twins = {plan.system_name(study, *other) for other in plan.systems(study) if other[0] != regime}
    return f"{name} (distilled)" if regime == "distillation" and name in twins else name
