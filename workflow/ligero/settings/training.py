"""Settings of every kind of training: pretraining recipes, fine-tuning protocol, distillation, grids."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, PositiveInt, model_validator

from ligero.settings.base import Identifier, Settings
from ligero.settings.values import Counts, LearningRate, LearningRates, PerJob, SomeIds


# Options that came later stay out of a job's digest while they have their default: finished jobs stay valid.
def _is_none(value: Any) -> bool:
    return value is None


def _is_none_word(value: Any) -> bool:
    return bool(value == "none")


def _is_false(value: Any) -> bool:
    return value is False


def _is_true(value: Any) -> bool:
    return value is True


class Divergence(Settings):
    """What to do when pretraining diverges (the authors restarted large and xlarge from an earlier checkpoint)."""

    on_divergence: Literal["stop", "rollback"] = "stop"
    spike_factor: float = Field(2.0, gt=1.0)
    """A smoothed loss above this multiple of its best value counts as divergence. A model that collapses falls back to where only
    token frequencies are known (about 7 nats, and 0.69 for sentence order): a large one, whose best is near 3, needs 1.5."""
    learning_rate_scale: float = Field(0.8, gt=0.0, lt=1.0)
    """Factor on the learning rate after a rollback."""
    maximum_rollbacks: int = Field(3, ge=0)


# These change no weight (but for rounding and the draw of dropout), so their change repeats nothing and a run resumes its
# checkpoints. What to do on divergence changes nothing until a run diverges: one that stopped there goes on with another answer.
_OPERATIONAL = (
    "micro_batch_size",
    "checkpoint_every",
    "keep_checkpoints",
    "validate_every",
    "log_every",
    "compile",
    "fused_kernels",
    "sharding",
    "tensorboard",
    "divergence",
)


class Pretraining(Settings):
    """The recipe of one model. Batch sizes are effective ones, lengths are in tokens."""

    objective: Literal["mlm_sop", "mlm"] = "mlm_sop"
    """Masked language modelling with sentence-order prediction (ALBERT) or alone (BERT, RoBERTa, DistilBERT)."""
    learning_rate: LearningRate = "1.76e-3"
    batch_size: int = Field(4096, ge=1)
    """Effective batch size in sequences."""
    micro_batch_size: int = Field(32, ge=1)
    """Sequences a forward pass on one device; must divide the effective batch size."""
    warmup_steps: int = Field(0, ge=0)
    total_steps: int = Field(ge=1)
    schedule_steps: int | None = Field(None, ge=1, exclude_if=_is_none)
    """Steps for which the learning rate was planned: it decays to zero there, though training stops at `total_steps`; null
    is `total_steps`. (A published warm-up ratio is often a share of the planned steps.)"""
    optimizer: Literal["lamb", "adamw"] = "lamb"
    bias_correction: bool = Field(True, exclude_if=_is_true)
    """LAMB with the bias-corrected moments of its paper; false leaves the correction out, as Google's ALBERT code does."""
    weight_decay: float = Field(0.01, ge=0.0)
    max_grad_norm: float = Field(1.0, gt=0.0)
    sequence_length: int = Field(512, ge=8)
    short_sequence_probability: float = Field(0.1, ge=0.0, le=1.0)
    masked_share: float = Field(0.15, gt=0.0, lt=1.0)
    """Share of the tokens that are predicted."""
    max_ngram: int = Field(3, ge=1)
    """Longest n-gram masked together; shorter ones are favoured (probability proportional to 1/n)."""
    whole_word: bool = False
    """Mask whole words (as BETO did) instead of single subwords."""
    dupe_factor: int | None = Field(None, ge=1)
    """Static masking with this many copies of the data; null masks anew at every visit."""
    embedding_initializer_range: float | None = Field(None, gt=0.0)
    """Standard deviation of the word embeddings at the start; null is transformers' 0.02, with which narrow models stay
    long where only token frequencies are learned (0.1 helps at widths up to 200)."""
    precision: Literal["fp32", "bf16"] = "fp32"
    fused_kernels: bool = True
    """Queries, keys and values in one product, on a CPU in bf16 attention row by row, and the vocabulary loss with its
    gradient in one pass; false leaves them to transformers and torch. Results differ by rounding only."""
    compile: bool = False
    """Compile the model with torch.compile, which replaces `fused_kernels`."""
    sharding: Literal["none", "fsdp"] = Field("none", exclude_if=_is_none_word)
    """How several processes hold the model: each a copy, or each a shard of weights, gradients and moments (FSDP)."""
    checkpoint_every: int = Field(1000, ge=1)
    """Steps between checkpoints."""
    keep_checkpoints: int = Field(2, ge=1)
    """The latest ones stay. With rollback each further divergence goes one back, so keep more than `maximum_rollbacks`."""
    validate_every: int = Field(1000, ge=1)
    """Steps between evaluations of MLM loss and SOP accuracy on held-out text."""
    log_every: int = Field(10, ge=1)
    tensorboard: bool = Field(False, exclude_if=_is_false)
    """Also write what the metrics file holds as TensorBoard events, beside it."""
    divergence: Divergence = Divergence()
    seed: int = 42

    @model_validator(mode="after")
    def _batches_divide(self) -> Pretraining:
        if self.batch_size % self.micro_batch_size:
            raise ValueError(
                f"micro_batch_size {self.micro_batch_size} must divide batch_size {self.batch_size}: "
                "the effective batch is micro batch x accumulation x devices"
            )
        if self.warmup_steps >= self.total_steps:
            raise ValueError(f"warmup_steps {self.warmup_steps} must be below total_steps {self.total_steps}")
        if self.schedule_steps is not None and self.schedule_steps < self.total_steps:
            raise ValueError(
                f"schedule_steps {self.schedule_steps} must be at least total_steps {self.total_steps}: the learning rate "
                "would be zero before training ends"
            )
        if self.optimizer != "lamb" and not self.bias_correction:
            raise ValueError("bias_correction: false is for optimizer: lamb; adamw always corrects")
        if self.compile and self.sharding == "fsdp":
            raise ValueError("compile: true and sharding: fsdp do not go together; leave one of them out")
        return self

    @property
    def decay_end(self) -> int:
        """The step at which the learning rate reaches zero."""
        return self.schedule_steps or self.total_steps

    def determining_weights(self) -> Pretraining:
        """The recipe with its default wherever a setting decides only how fast or how visibly a model is trained."""
        fields = type(self).model_fields
        return self.model_copy(update={name: fields[name].default for name in _OPERATIONAL})


class TrainingOptions(Settings):
    """Every choice of the fine-tuning and distillation loops. `protocol` presets fill what a study leaves out."""

    seed: int = Field(42, ge=0)
    """Draws the head's start, the order of the examples and dropout."""
    optimizer: Literal["adamw"] = "adamw"
    """AdamW as torch has it."""
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
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Of the forward and backward passes; weights and moments stay in fp32."""
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
    evaluate_every_steps: int | None = Field(None, ge=1, exclude_if=_is_none)
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
    selection: dict[Identifier, Literal["loss", "score"]] = Field(
        default_factory=dict, exclude_if=lambda chosen: not chosen
    )
    """Task id to what picks its best epoch and trial, where it differs from options.selection_metric (LW: score for QA)."""
    evaluate_every_steps: dict[Identifier, PositiveInt] = Field(
        default_factory=dict, exclude_if=lambda chosen: not chosen
    )
    """Task id to its own options.evaluate_every_steps (LW: from 100 for NER to 2000 for XNLI)."""
    trials_per_job: PerJob = 1
    """Trials of one model that share a process; 'all' is cheapest on a laptop, 1 spreads best over a cluster."""


def _is_empty(override: GridOverride) -> bool:
    return override == GridOverride()


class FineTuning(Training):
    """The fine-tuning grid over all models and tasks."""

    grid: Grid = Grid(batch_size=(16,), epochs=(4,), learning_rate=("5e-5",))
    """The trials of each system and task."""

    tasks_per_scoring_job: PerJob = 1
    """Test sets that share a process."""
    systems_per_scoring_job: PerJob = 1
    """Systems that share such a process; on a laptop starting processes takes longer than scoring a small model."""


InitialLayers = Literal["spread", "first", "last"]


class Student(Settings):
    """A student: an architecture and where its weights start."""

    name: str
    """Name in the tables."""
    initial: Identifier
    """Id of the model whose pretrained checkpoint the student starts from."""
    num_hidden_layers: int | None = Field(None, ge=1)
    """Number of layers where it differs from the initial model's (ALBETO base-n)."""
    initial_layers: InitialLayers = "spread"
    """Which layers a shallower student keeps: evenly spaced (Sanh et al. 2019, DistilBERT), the first (top layers dropped, best
    of the ways compared by Sajjad et al. 2023), or the last. ALBERT's layers share one set of weights: nothing to choose."""
    grid: GridOverride = Field(GridOverride(), exclude_if=_is_empty)
    """Parts of the distillation grid that this student replaces."""


class Augmentation(Settings):
    """Unlabelled examples that the teacher labels beside a task's own training examples.

    Tagging and classification of single texts get sentences of the corpus, classification of pairs gets new pairs of the
    task's own texts; question answering gets none. Needs alpha 0, since what is added has no gold labels.
    """

    ratio: float = Field(gt=0.0)
    """How many examples are added for each training example of the task; fewer where there are no more."""
    min_words: int = Field(5, ge=1)
    """Shorter sentences of the corpus are not taken; a punctuation mark counts as a word."""
    max_words: int = Field(50, ge=1)
    """Longer ones are not either."""
    seed: int = 42
    """Draws the sentences, or the pairs."""

    @model_validator(mode="after")
    def _some_length_is_left(self) -> Augmentation:
        if self.min_words > self.max_words:
            raise ValueError(f"min_words {self.min_words} must be at most max_words {self.max_words}")
        return self


class Distillation(Training):
    """Task-specific knowledge distillation from cached teacher logits (Hinton et al. 2015; Speedy Gonzales)."""

    grid: Grid = Grid(batch_size=(16,), epochs=(30,), learning_rate=("1e-4",))
    """The trials of each student and task. A student that learns from logits needs more epochs than fine-tuning, and stops by
    `patience`."""
    students: dict[Identifier, Student] = Field(min_length=1)
    """Student id to student."""
    loss: Literal["kl", "ce", "mse"] = "kl"
    """Of logits: Kullback-Leibler divergence, cross entropy with the teacher's probabilities, or mean squared error."""
    alpha: float = Field(0.0, ge=0.0, le=1.0)
    """Weight of the cross entropy with gold labels; 1 - alpha weighs the distillation loss."""
    temperature: float = Field(1.0, gt=0.0)
    """Divides the logits of teacher and student before the softmax (`kl` and `ce`)."""
    patience: int = Field(10, ge=0)
    """Stop after more than this many epochs without a strictly lower validation loss."""
    logits_dtype: Literal["float16", "float32"] = "float32"
    """Precision of the cached logits."""
    logits_precision: Literal["fp32", "bf16", "fp16"] | None = Field(None, exclude_if=_is_none)
    """Of the teacher's forward passes that they come from; null is fine_tuning.options.precision. (SG: fp32)"""
    answer_alignment: Literal["first_subword", "boundary"] = "first_subword"
    """Question answering between vocabularies: logits of the first subword of each word (thesis), or of the tokens that begin
    and end at the same characters, which keeps the ends of answers. One vocabulary is aligned token by token either way."""
    relations: Literal["none", "hidden", "attention"] = "none"
    """Beyond the thesis: also match relations between tokens, of hidden states layer by layer (TinyBERT's layer map) or of the
    last layer's queries, keys and values (MiniLMv2). Runs the teacher at every step; needs one vocabulary."""
    relation_weight: float = Field(1.0, gt=0.0)
    """Weight of the relation loss beside alpha's."""
    augmentation: Augmentation | None = None
    """Beyond the thesis: unlabelled text for the methods of `ablation` that are `augmented`; null has none."""
    tasks_per_scoring_job: PerJob = 1
    """Test sets that share a process."""
    systems_per_scoring_job: PerJob = 1
    """Students that share such a process."""


class Teachers(Settings):
    """How the teacher of each task is chosen."""

    rule: Literal["validation", "published", "list"] = "validation"
    """Best validation loss among the candidates, the thesis' table, or the list below."""
    candidates: SomeIds | None = None
    """Models considered by the rule 'validation'; null means all."""
    choices: dict[Identifier, Identifier] = Field(default_factory=dict)
    """Task id to model id, for the rule 'list'; entries also override the other rules."""
    number: int = Field(1, ge=1)
    """Teachers a task: with the rule 'validation' this many of lowest loss teach together; 1 is the thesis."""
    weighting: Literal["mean", "validation"] = "mean"
    """How several teachers are averaged: all alike, or in proportion to exp(-validation loss)."""
