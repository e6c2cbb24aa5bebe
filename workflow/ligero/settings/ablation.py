"""Settings of an ablation: one student trained in several ways, with several seeds, on some tasks of the study."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ligero.settings.base import Identifier, LearningRate, Seeds, Settings, SomeIds


class Method(Settings):
    """One way to train the student. What is null is as the section `distillation`, or the ablation, has it."""

    name: str | None = None
    """Name in the table; null prints the method's id."""
    objective: Literal["gold", "distilled"] = "distilled"
    """The gold labels alone (fine-tuning), or the cached logits of the task's teacher."""
    loss: Literal["kl", "ce", "mse"] | None = None
    """Overrides `distillation.loss`."""
    alpha: float | None = Field(None, ge=0.0, le=1.0)
    """Overrides `distillation.alpha`."""
    temperature: float | None = Field(None, gt=0.0)
    """Overrides `distillation.temperature`."""
    relations: Literal["none", "hidden", "attention"] | None = None
    """Overrides `distillation.relations`."""
    relation_weight: float | None = Field(None, gt=0.0)
    """Overrides `distillation.relation_weight`."""
    augmented: bool = False
    """Train on the task's examples and the unlabelled sentences of `distillation.augmentation`; an epoch is longer then."""
    batch_size: int | None = Field(None, ge=1)
    """Overrides `ablation.batch_size`."""
    epochs: int | None = Field(None, ge=1)
    """Overrides `ablation.epochs`."""
    learning_rate: LearningRate | None = None
    """Overrides `ablation.learning_rate`."""


class Ablation(Settings):
    """Whether distillation helps, measured: a table of methods with several seeds each.

    Every method starts from the same weights, reads the same data with the options of `distillation.options`, runs all its
    epochs, and keeps its best epoch by validation.
    """

    student: Identifier
    """Id of one of `distillation.students`."""
    tasks: SomeIds
    """Ids of the tasks on which it is trained."""
    seeds: Seeds
    """One run a seed; it draws the head's start, the order of the examples and dropout."""
    batch_size: int = Field(ge=1)
    """Effective batch size of every method that names none."""
    epochs: int = Field(ge=1)
    """Epochs of every method that names none."""
    learning_rate: LearningRate
    """Learning rate of every method that names none."""
    reference: Identifier
    """The method that the others are tested against."""
    methods: dict[Identifier, Method] = Field(min_length=2)
    """Method id to method, in the order of the table."""
