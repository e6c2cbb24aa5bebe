"""Settings of training on tasks: grids, options of the loop, fine-tuning, the hyper-parameter search, the ablation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt, model_validator

from ligero.settings.base import (
    Counts,
    Identifier,
    Ids,
    LearningRate,
    LearningRates,
    Name,
    PerJob,
    Precision,
    Seed,
    Seeds,
    Settings,
    SomeIds,
    TrialsPerJob,
)


class TrainingOptions(Settings):
    """Every choice of the fine-tuning and distillation loops. What a study leaves out comes from its `protocol`; where the
    protocol sets nothing, the defaults here apply."""

    seed: Seed = 42
    """Determines the head's initial weights, the order of the examples and dropout."""
    weight_decay: float = Field(0.0, ge=0.0)
    """Decoupled weight decay of AdamW."""
    decay_all_parameters: bool = True
    """Apply weight decay to biases and norms too (only matters where weight_decay > 0)."""
    warmup_ratio: float = Field(0.0, ge=0.0, lt=1.0)
    """Share of the steps in which the learning rate rises; after that it decays linearly to zero."""
    max_grad_norm: float | None = Field(1.0, gt=0.0)
    """Gradients are scaled down to this norm where theirs is larger; null never does."""
    shuffle: bool = True
    """Reorder the training examples in every epoch."""
    precision: Precision = "fp32"
    """Of the forward and backward passes; weights and moments stay in fp32. `auto` takes the fastest that the device really
    computes in, and results say which that was; another device that would take another one repeats nothing."""
    micro_batch_size: int | None = Field(None, ge=1)
    """Largest micro batch; null tries the effective batch first and halves it when memory runs out."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, more time."""
    bucket_by_length: bool = True
    """Make batches of examples with similar lengths, which saves padding; the authors' code does not."""
    head_learning_rate_factor: float = Field(1.0, gt=0.0)
    """Factor on the learning rate of the task head (contrastively trained encoders such as E5 need a larger one)."""
    max_length: int = Field(512, ge=8)
    """Longest input in tokens."""
    label_subwords: Literal["first", "all"] = "first"
    """Which subwords carry a word's tag: the first (SG) or all (LW)."""
    max_words: int | None = Field(None, ge=1)
    """For tagging: training and validation sentences are truncated to this many words (SG: 128); null keeps all. Test sentences
    are never truncated."""
    doc_stride: int = Field(128, ge=1)
    """For question answering: overlap of consecutive windows, in tokens."""
    n_best: int = Field(20, ge=1)
    """For question answering: number of best start and end positions that are combined."""
    max_answer_length: int = Field(30, ge=1)
    """For question answering: longest answer, in tokens."""
    selection_metric: Literal["loss", "score"] = "loss"
    """What selects the best epoch and trial: validation loss, or the task's validation score (LW for QA)."""
    evaluations_per_epoch: int = Field(1, ge=1)
    """Validations per epoch; the weights of the best one are kept."""
    evaluate_every_steps: int | None = Field(None, ge=1)
    """Validate every this many steps, regardless of epochs (LW), instead of `evaluations_per_epoch`; shorter runs are validated
    at their end. Epochs without validation do not count towards `patience`."""

    @model_validator(mode="after")
    def _is_validated_in_one_rhythm(self) -> TrainingOptions:
        if self.evaluate_every_steps and self.evaluations_per_epoch > 1:
            raise ValueError(
                f"evaluations_per_epoch: {self.evaluations_per_epoch} has no effect with evaluate_every_steps, which takes "
                "its place; remove one of them"
            )
        return self


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
    """Replaces the grid's batch sizes; null keeps them."""
    epochs: Counts | None = None
    """Replaces the grid's epochs; null keeps them."""
    learning_rate: LearningRates | None = None
    """Replaces the grid's learning rates; null keeps them."""

    def applied_to(self, grid: Grid) -> Grid:
        """The grid with its lists replaced by those given here."""
        return grid.model_copy(update={key: value for key, value in self if value is not None})


def changes_nothing(override: GridOverride) -> bool:
    """For `exclude_if`: such an override is left out of a job, whose digest is then that of a job without the key."""
    return override == GridOverride()


class Halving(Settings):
    """Successive halving (Jamieson and Talwalkar 2016): the losing trials of a grid stop early.

    Trials of one system and task that have the same number of epochs are compared with each other, since these have seen the same
    examples at the same point of their learning-rate schedules: after `min_epochs`, then after `factor` times as many epochs, and so
    on. By their best epoch up to there, chosen as the best trial is, one in `factor` continues.
    """

    factor: int = Field(3, ge=2)
    """One in so many trials continues after each comparison, rounded up."""
    min_epochs: int = Field(1, ge=1)
    """Epochs before the first comparison. More are safer where early epochs say little: long warm-up, small data."""

    def rungs(self, epochs: int) -> list[int]:
        """After which epochs trials of `epochs` epochs are compared."""
        found = []
        rung = self.min_epochs
        while rung < epochs:
            found.append(rung)
            rung *= self.factor
        return found

    def kept(self, trials: int) -> int:
        """How many of so many trials continue."""
        return -(-trials // self.factor)


class Training(Settings):
    """What fine-tuning and distillation have in common."""

    grid: Grid
    """The trials of each system and task."""
    options: TrainingOptions = TrainingOptions()
    """Every other choice of the training loop."""
    selection: dict[Identifier, Literal["loss", "score"]] = Field(default_factory=dict)
    """By task id: what selects its best epoch and trial, where it differs from options.selection_metric (LW: score for QA)."""
    evaluate_every_steps: dict[Identifier, PositiveInt] = Field(default_factory=dict)
    """By task id: its own options.evaluate_every_steps (LW: from 100 for NER to 2000 for XNLI)."""
    trials_per_job: TrialsPerJob = 1
    """Trials of a model per job. 'all' saves start-up time on a laptop, 1 parallelises best, 'auto' makes jobs of about half an hour
    on a GPU, of one task each, from the model's size and the task's `expected` examples (1 where they are not given)."""
    halving: Halving | None = None
    """Losing trials stop early; null trains the whole grid, as the thesis did. Needs `trials_per_job: auto` (then a job for each
    system and task) or `all`."""
    tasks_per_scoring_job: PerJob = 1
    """Test sets per scoring job."""
    systems_per_scoring_job: PerJob = 1
    """Systems per scoring job; on a laptop, starting a process takes longer than scoring a small model."""


class FineTuning(Training):
    """The fine-tuning grid over all models and tasks."""

    grid: Grid = Grid(batch_size=(16,), epochs=(4,), learning_rate=("5e-5",))
    """The trials of each system and task."""


class Search(Settings):
    """Searches over loss, alpha, temperature and learning rate with Optuna (thesis: 500 and 332 trials); target `searches`."""

    students: Ids = ()
    """Ids of the students to search for; empty means all."""
    tasks: Ids = ()
    """Ids of the tasks to search on; empty means all."""
    trials: int = Field(500, ge=1)
    """Finished trials per search, by all of its workers together."""
    workers: int = Field(1, ge=1)
    """Jobs that work on one search at the same time; with a single worker the outcome depends on the seed only."""
    batch_size: int | None = Field(None, ge=1)
    """Effective batch size of every trial; null means the first in distillation.grid."""
    epochs: int | None = Field(None, ge=1)
    """Maximum epochs per trial, and Hyperband's largest resource; null means the first in distillation.grid."""
    patience: int | None = Field(None, ge=0)
    """A trial stops after more than this many epochs without a strictly lower validation loss; null means distillation.patience."""


METHOD_SETTINGS = ("loss", "alpha", "temperature", "relations", "relation_weight")
"""Keys of a method that override those of the section `distillation`."""


class Method(Settings):
    """One way to train the student. A null value inherits from `distillation`, or from `ablation`."""

    name: Name | None = None
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

    @model_validator(mode="after")
    def _is_used(self) -> Method:
        unused = {key: "objective: gold" for key in METHOD_SETTINGS if self.objective == "gold"}
        if self.loss == "mse":
            unused.setdefault("temperature", "loss: mse")
        if self.relations == "none":
            unused.setdefault("relation_weight", "relations: none")
        for key, other in unused.items():
            if getattr(self, key) is not None:
                raise ValueError(f"the key '{key}' has no effect with {other}; remove it")
        return self


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
