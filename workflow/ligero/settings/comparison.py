"""Settings of a comparison: one student trained in several ways, with several seeds, on some tasks of the study."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ligero.settings.base import Identifier, Settings
from ligero.settings.training import LearningRate


class Method(Settings):
    """One way to train the student. What is null is as the section `distillation`, or the comparison, has it."""

    name: str | None = None
    """Name in the table; null prints the method's id."""
    objective: Literal["gold", "distilled"] = "distilled"
    """The gold labels alone (fine-tuning), or the cached logits of the task's teacher."""
    loss: Literal["kl", "ce", "mse"] | None = None
    alpha: float | None = Field(None, ge=0.0, le=1.0)
    temperature: float | None = Field(None, gt=0.0)
    relations: Literal["none", "hidden", "attention"] | None = None
    relation_weight: float | None = Field(None, gt=0.0)
    augmented: bool = False
    """Train on the task's examples and the unlabelled sentences of `distillation.augmentation`; an epoch is longer then."""
    batch_size: int | None = Field(None, ge=1)
    epochs: int | None = Field(None, ge=1)
    learning_rate: LearningRate | None = None


class Comparison(Settings):
    """Whether distillation helps, measured: a table of methods with several seeds each.

    Every method starts from the same weights, reads the same data with the options of `distillation.options`, runs all its
    epochs, and keeps its best epoch by validation.
    """

    student: Identifier
    """Id of one of `distillation.students`."""
    tasks: tuple[Identifier, ...] = Field(min_length=1)
    seeds: tuple[int, ...] = Field(min_length=1)
    """One run a seed; it draws the head's start, the order of the examples and dropout."""
    batch_size: int = Field(ge=1)
    epochs: int = Field(ge=1)
    learning_rate: LearningRate
    reference: Identifier
    """The method that the others are tested against."""
    methods: dict[Identifier, Method] = Field(min_length=2)
