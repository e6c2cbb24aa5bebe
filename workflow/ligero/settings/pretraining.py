"""Settings of pretraining: the recipe of one model, and what to do when it diverges."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from ligero.settings.base import (
    Identifier,
    LearningRate,
    Seed,
    Settings,
    UnscaledPrecision,
    each_once,
)


class Divergence(Settings):
    """What to do when pretraining diverges (the authors restarted large and xlarge from an earlier checkpoint)."""

    on_divergence: Literal["stop", "rollback"] = "stop"
    """Stop with an error, or resume from the latest checkpoint with a lower learning rate."""
    spike_factor: float = Field(2.0, gt=1.0)
    """A smoothed loss above this multiple of its best value counts as divergence. A collapsed model only knows unigram frequencies
    (loss about 7 nats, and 0.69 for sentence order), so a large model, whose best loss is near 3, needs 1.5."""
    learning_rate_scale: float = Field(0.8, gt=0.0, lt=1.0)
    """Factor on the learning rate after a rollback."""
    maximum_rollbacks: int = Field(3, ge=0)
    """Rollbacks after which the next divergence is an error."""


# These do not affect the weights (except for rounding and dropout draws), so changing them re-runs nothing and a run resumes from
# its checkpoints. The answer to divergence has no effect until a run diverges; a run that stopped there continues with a new one.
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


class StateTeacher(Settings):
    """What a model learns from with `objective: distil`: the hidden states of another model, which reads a part of the corpus once."""

    model: Identifier
    """Id of the teacher: any other model of the study, with whatever vocabulary."""
    layers: Annotated[tuple[int, ...], AfterValidator(each_once)] | None = Field(None, min_length=1)
    """Layers whose normalised states are averaged, 0 being the embeddings; null means those at half and two thirds of its depth.
    The layers after the last of them are not computed."""
    dimensions: int = Field(192, ge=1)
    """Principal components of the states that are kept; at most the teacher's width."""
    tokens: int = Field(2_000_000, ge=1)
    """Tokens of the corpus (in the student's vocabulary) that the teacher reads, in passages from everywhere in it. They take 2 x `dimensions`
    + 6 bytes each on disk, or less: 0.8 GB by default."""
    initialise_embeddings: bool = True
    """Begin with embeddings made of the teacher's states: each subword's is the mean of the states where it occurs. With
    `initial_attention: neighbours` positions have some dimensions of their own beside them."""
    masked_weight: float = Field(0.0, ge=0.0)
    """Weight of masked language modelling beside the error of the states; 0 leaves it out, and the vocabulary head untrained."""

    def layers_of(self, depth: int) -> tuple[int, ...]:
        """The layers that are read of a teacher with so many."""
        return self.layers or tuple(dict.fromkeys((max(1, depth // 2), max(1, 2 * depth // 3))))


class Pretraining(Settings):
    """The recipe of one model. Batch sizes are effective ones, lengths are in tokens."""

    objective: Literal["mlm_sop", "mlm", "distil"] = "mlm_sop"
    """Masked language modelling with sentence-order prediction (ALBERT) or alone (BERT, RoBERTa, DistilBERT), or the prediction of a
    teacher's hidden states."""
    teacher: StateTeacher | None = None
    """Whose states are predicted; for `objective: distil`."""
    learning_rate: LearningRate = "1.76e-3"
    """Peak learning rate, reached after the warm-up; it decays linearly to zero. Write it as a string."""
    batch_size: int = Field(4096, ge=1)
    """Effective batch size in sequences."""
    micro_batch_size: int = Field(32, ge=1)
    """Sequences per forward pass and device; must divide the effective batch size."""
    warmup_steps: int = Field(0, ge=0)
    """Optimizer steps over which the learning rate rises linearly from zero."""
    total_steps: int = Field(ge=1)
    """Optimizer steps after which training ends."""
    schedule_steps: int | None = Field(None, ge=1)
    """Step at which the learning rate reaches zero, even if training stops earlier, at `total_steps`; null means
    `total_steps`. (A published warm-up ratio is often a share of the planned steps.)"""
    optimizer: Literal["lamb", "adamw"] = "lamb"
    """LAMB (ALBERT's, for large batches) or AdamW."""
    bias_correction: bool = True
    """Correct LAMB's moments for their initial bias, as in its paper; false does not, like Google's ALBERT code."""
    weight_decay: float = Field(0.01, ge=0.0)
    """Decoupled weight decay of all parameters except biases and norms."""
    max_grad_norm: float = Field(1.0, gt=0.0)
    """Gradients are scaled down to this norm where theirs is larger."""
    sequence_length: int = Field(512, ge=8)
    """Longest input in tokens, including special tokens."""
    short_sequence_probability: float = Field(0.1, ge=0.0, le=1.0)
    """Share of the sequences that are cut at a random shorter length."""
    masked_share: float = Field(0.15, gt=0.0, lt=1.0)
    """Share of the tokens that are predicted."""
    max_ngram: int = Field(3, ge=1)
    """Longest n-gram masked together; shorter ones are favoured (probability proportional to 1/n)."""
    whole_word: bool = False
    """Mask whole words (as BETO did) instead of single subwords."""
    cls_words: int = Field(0, ge=0)
    """Words of its row, drawn at random, that [CLS] predicts beside the masked ones (bag-of-words prediction: Ma et al., arXiv
    2401.11248), so that the state that classifiers read is trained; for `objective: mlm`. They are part of the training loss, not of the
    one on held-out text."""
    dupe_factor: int | None = Field(None, ge=1)
    """Static masking with this many copies of the data; null draws new masks at every visit."""
    embedding_initializer_range: float | None = Field(None, gt=0.0)
    """Standard deviation of the initial word embeddings; null means transformers' 0.02, with which narrow models take long to
    learn more than token frequencies (0.1 helps at widths up to 200)."""
    initial_attention: Literal["spread", "neighbours"] = "spread"
    """What attention begins with: every token alike, as in transformers, or the tokens beside each token, with sinusoids as positions.
    Narrow models learn what words mean together after far fewer steps with `neighbours`."""
    shallow_steps: int = Field(0, ge=0)
    """ALBERT only: the first steps compute only `shallow_layers` of the layers, which share their weights. A deep model trained so is
    as good after a fraction of the time."""
    shallow_layers: int = Field(3, ge=1)
    """Layers computed in the first `shallow_steps` steps."""
    precision: UnscaledPrecision = "fp32"
    """Of the forward and backward passes; `auto` takes bf16 where the device really computes in it. A run that is resumed
    keeps what it began with."""
    fused_kernels: bool = True
    """Compute queries, keys and values in one product, attention row by row (in bf16 on a CPU), and the vocabulary loss with its
    gradient in one pass; false uses transformers' and torch's own code. Results differ by rounding only."""
    compile: bool = False
    """Compile the model with torch.compile, which replaces `fused_kernels`."""
    sharding: Literal["none", "fsdp"] = "none"
    """How several processes hold the model: a copy each, or a shard each of weights, gradients and moments (FSDP)."""
    checkpoint_every: int = Field(1000, ge=1)
    """Steps between checkpoints."""
    keep_checkpoints: int = Field(2, ge=1)
    """Number of latest checkpoints kept. Each further rollback returns to an earlier one, so keep more than `maximum_rollbacks`."""
    validate_every: int = Field(1000, ge=1)
    """Steps between evaluations of MLM loss and SOP accuracy on held-out text."""
    log_every: int = Field(10, ge=1)
    """Steps between entries of the metrics file."""
    tensorboard: bool = False
    """Also write the metrics as TensorBoard events, next to the metrics file."""
    divergence: Divergence = Divergence()
    """When a run counts as diverged, and what happens then."""
    seed: Seed = 42
    """Determines the initial weights, the order of the text, masks and dropout."""

    @model_validator(mode="after")
    def _has_its_teacher(self) -> Pretraining:
        if self.objective == "distil" and self.teacher is None:
            raise ValueError("objective: distil needs the key 'teacher', e.g. teacher: {model: ID}")
        if self.objective != "distil" and self.teacher is not None:
            raise ValueError(
                f"objective: {self.objective} has no teacher; remove the key, or write objective: distil"
            )
        if (
            self.teacher
            and self.teacher.initialise_embeddings
            and self.embedding_initializer_range is not None
        ):
            raise ValueError(
                "teacher.initialise_embeddings replaces embedding_initializer_range; leave one of them out"
            )
        return self

    @model_validator(mode="after")
    def _has_words_for_cls(self) -> Pretraining:
        if self.cls_words and self.objective != "mlm":
            raise ValueError(
                f"cls_words: {self.cls_words} is for objective: mlm; with {self.objective} leave it out"
            )
        return self

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
        if self.shallow_steps >= self.total_steps:
            raise ValueError(
                f"shallow_steps {self.shallow_steps} must be below total_steps {self.total_steps}: the rest of the steps train "
                "all layers"
            )
        if self.compile and self.sharding == "fsdp":
            raise ValueError("compile: true and sharding: fsdp do not go together; leave one of them out")
        return self

    @property
    def decay_end(self) -> int:
        """The step at which the learning rate reaches zero."""
        return self.schedule_steps or self.total_steps

    @property
    def tokens_per_step(self) -> float:
        """On average: a short step has half the length on average."""
        return self.batch_size * self.sequence_length * (1 - self.short_sequence_probability / 2)

    def determining_weights(self) -> Pretraining:
        """The recipe with its default wherever a setting decides only how fast or how visibly a model is trained."""
        fields = type(self).model_fields
        return self.model_copy(update={name: fields[name].default for name in _OPERATIONAL})
