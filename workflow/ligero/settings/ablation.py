"""Settings of an ablation: one student trained in several ways, with several seeds, on some tasks of the study."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ligero.settings.base import Identifier, LearningRate, Seeds, Settings, SomeIds


class Method(Settings):
    """One way to train the student. A null value inherits from `distillation`, or from `ablation`."""

    name: str | None = None
    """Name in the table; null means the method's id."""
    objective: Literal["gold", "distilled"] = "distilled"
    """Learn from gold labels alone (fine-tuning), or from the cached logits of the task's teacher."""
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
    """Also train on the unlabelled examples of `distillation.augmentation`, which makes an epoch longer."""
    batch_size: int | None = Field(None, ge=1)
    """Overrides `ablation.batch_size`."""
    epochs: int | None = Field(None, ge=1)
    """Overrides `ablation.epochs`."""
    learning_rate: LearningRate | None = None
    """Overrides `ablation.learning_rate`."""


class Ablation(Settings):
    """Does distillation help? A table of training methods, with several seeds each.

    All methods start from the same weights, read the same data with the options of `distillation.options`, run all their
    epochs, and keep the best epoch by validation.
    """

    student: Identifier
    """Id of one of `distillation.students`."""
    tasks: SomeIds
    """Ids of the tasks that it is trained on."""
    seeds: Seeds
    """One run per seed, which determines the head's initial weights, the order of the examples and dropout."""
    batch_size: int = Field(ge=1)
    """Effective batch size of methods that do not set their own."""
    epochs: int = Field(ge=1)
    """Epochs of methods that do not set their own."""
    learning_rate: LearningRate
    """Learning rate of methods that do not set their own."""
    reference: Identifier
    """Id of the method that the others are tested against."""
    methods: dict[Identifier, Method] = Field(min_length=2)
    """Methods by id, in the order of the table."""
