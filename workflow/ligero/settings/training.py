"""Settings that fine-tuning and distillation share: grids and the options of the training loop; the section of fine-tuning."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt

from ligero.settings.base import Counts, Identifier, LearningRates, PerJob, Settings
from ligero.settings.precision import Precision


class TrainingOptions(Settings):
    """Every choice of the fine-tuning and distillation loops. `protocol` presets fill what a study leaves out."""

    seed: int = Field(42, ge=0)
    """Draws the head's start, the order of the examples and dropout."""
    weight_decay: float = Field(0.0, ge=0.0)
    """Decoupled weight decay of AdamW."""
    decay_all_parameters: bool = True
    """Apply weight decay to biases and norms too (only matters where weight_decay > 0)."""
    warmup_ratio: float = Field(0.0, ge=0.0, lt=1.0)
    """Share of the steps in which the learning rate rises; it decays linearly to zero after them."""
    max_grad_norm: float | None = Field(1.0, gt=0.0)
    """Gradient norm is clipped to this; null does not clip."""
    shuffle: bool = True
    """Draw the training examples in another order in every epoch."""
    precision: Precision = "fp32"
    """Of the forward and backward passes; weights and moments stay in fp32. `auto` takes the fastest that the device really
    computes in, and results say which that was; another device that would take another one repeats nothing."""
    micro_batch_size: int | None = Field(None, ge=1)
    """Largest micro batch; null tries the effective batch first and halves it when memory runs out."""
    gradient_checkpointing: bool = False
    """Compute activations anew in the backward pass: less memory, more time."""
    bucket_by_length: bool = True
    """Draw batches from examples of similar length; off pads as in the authors' code."""
    head_learning_rate_factor: float = Field(1.0, gt=0.0)
    """Multiplies the learning rate of the task head (a frozen-in encoder such as E5 needs a larger one)."""
    max_length: int = Field(512, ge=8)
    """Longest input in tokens."""
    label_subwords: Literal["first", "all"] = "first"
    """Which subwords of a word carry its tag: SG labels the first, LW all."""
    max_words: int | None = Field(None, ge=1)
    """Sentences of training and validation are cut at this many words in tagging (SG: 128); null keeps all. Test sentences
    are read whole."""
    doc_stride: int = Field(128, ge=1)
    """Overlap of neighbouring windows in question answering, in tokens."""
    n_best: int = Field(20, ge=1)
    """Best begins and ends of an answer that are combined in question answering."""
    max_answer_length: int = Field(30, ge=1)
    """Longest answer, in tokens."""
    selection_metric: Literal["loss", "score"] = "loss"
    """What picks the best epoch and trial: validation loss, or the task's score (LW for QA)."""
    evaluations_per_epoch: int = Field(1, ge=1)
    """How often validation runs inside an epoch; the best step inside a run is kept."""
    evaluate_every_steps: int | None = Field(None, ge=1)
    """Validation after every so many steps of the run, wherever epochs end (LW), instead of `evaluations_per_epoch`; a run of
    fewer steps is validated at its end. An epoch without validation does not count against `patience`."""


class Grid(Settings):
    """A grid of trials: the Cartesian product of its lists."""

    batch_size: Counts
    """Effective batch sizes."""
    epochs: Counts
    """Passes over the training split."""
    learning_rate: LearningRates
    """Peak learning rates, as strings: they name trials in paths."""


class GridOverride(Settings):
    """Parts of a grid that one model or task replaces."""

    batch_size: Counts | None = None
    """In place of the grid's batch sizes; null keeps them."""
    epochs: Counts | None = None
    """In place of the grid's epochs; null keeps them."""
    learning_rate: LearningRates | None = None
    """In place of the grid's learning rates; null keeps them."""

    def applied_to(self, grid: Grid) -> Grid:
        """The grid with the lists given here in place of its own."""
        return grid.model_copy(update={key: value for key, value in self if value is not None})


class Training(Settings):
    """What fine-tuning and distillation have in common."""

    grid: Grid
    """The trials of each system and task."""
    options: TrainingOptions = TrainingOptions()
    """Every other choice of the training loop."""
    selection: dict[Identifier, Literal["loss", "score"]] = Field(default_factory=dict)
    """Task id to what picks its best epoch and trial, where it differs from options.selection_metric (LW: score for QA)."""
    evaluate_every_steps: dict[Identifier, PositiveInt] = Field(default_factory=dict)
    """Task id to its own options.evaluate_every_steps (LW: from 100 for NER to 2000 for XNLI)."""
    trials_per_job: PerJob = 1
    """Trials of one model that share a process; 'all' is cheapest on a laptop, 1 spreads best over a cluster."""
    tasks_per_scoring_job: PerJob = 1
    """Test sets that share a process."""
    systems_per_scoring_job: PerJob = 1
    """Systems that share such a process; on a laptop starting processes takes longer than scoring a small model."""


class FineTuning(Training):
    """The fine-tuning grid over all models and tasks."""

    grid: Grid = Grid(batch_size=(16,), epochs=(4,), learning_rate=("5e-5",))
    """The trials of each system and task."""
