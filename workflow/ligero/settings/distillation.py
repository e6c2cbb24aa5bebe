"""Settings of distillation: students, how they learn from cached logits, unlabelled examples."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from ligero.settings.base import Identifier, Settings
from ligero.settings.precision import Precision
from ligero.settings.training import Grid, GridOverride, Training

InitialLayers = Literal["spread", "first", "last"]


class Student(Settings):
    """A student: an architecture and where its weights start."""

    name: str
    """Name in the tables."""
    initial: Identifier
    """Id of the model whose pretrained weights the student starts from."""
    num_hidden_layers: int | None = Field(None, ge=1)
    """Number of layers where it differs from the initial model's (ALBETO base-n)."""
    initial_layers: InitialLayers = "spread"
    """Which layers a shallower student keeps: evenly spaced (DistilBERT; Sanh et al. 2019), the first (top layers dropped, the
    best method in Sajjad et al. 2023), or the last. ALBERT's layers share one set of weights, so there is nothing to choose."""
    grid: GridOverride = GridOverride()
    """Parts of the distillation grid that this student replaces."""


class Augmentation(Settings):
    """Unlabelled examples, labelled by the teacher, in addition to the task's own training examples.

    Tagging and classification of single texts use sentences from the corpus, classification of pairs uses new pairs of the
    task's own texts; question answering is not supported. Requires alpha 0, since the added examples have no gold labels.
    """

    ratio: float = Field(gt=0.0)
    """Examples added per training example of the task; fewer if there are not enough."""
    min_words: int = Field(5, ge=1)
    """Sentences with fewer words than this are skipped; a punctuation mark counts as a word."""
    max_words: int = Field(50, ge=1)
    """Sentences with more words than this are skipped."""
    seed: int = 42
    """Determines which sentences or pairs are drawn."""

    @model_validator(mode="after")
    def _some_length_is_left(self) -> Augmentation:
        if self.min_words > self.max_words:
            raise ValueError(f"min_words {self.min_words} must be at most max_words {self.max_words}")
        return self


class Learning(Settings):
    """How a student learns from the logits of its teacher."""

    loss: Literal["kl", "ce", "mse"] = "kl"
    """Distance between the logits of student and teacher: Kullback-Leibler divergence, cross entropy with the teacher's
    probabilities, or mean squared error."""
    alpha: float = Field(0.0, ge=0.0, le=1.0)
    """Weight of the cross entropy with gold labels; the distillation loss has weight 1 - alpha."""
    temperature: float = Field(1.0, gt=0.0)
    """Divides the logits of teacher and student before the softmax (`kl` and `ce`)."""
    logits_dtype: Literal["float16", "float32"] = "float32"
    """Precision of the cached logits."""
    answer_alignment: Literal["first_subword", "boundary"] = "first_subword"
    """For question answering where teacher and student have different vocabularies: use the logits of each word's first subword
    (thesis), or of tokens that begin and end at the same characters, which preserves the ends of answers. With a shared
    vocabulary, tokens are aligned one to one either way."""
    relations: Literal["none", "hidden", "attention"] = "none"
    """Beyond the thesis: also match relations between tokens, of hidden states layer by layer (TinyBERT's layer map) or of the
    last layer's queries, keys and values (MiniLMv2). Runs the teacher at every step; requires a shared vocabulary."""
    relation_weight: float = Field(1.0, gt=0.0)
    """Weight of the relation loss, which is added to the rest of the loss."""


class Distillation(Training, Learning):
    """Task-specific knowledge distillation from cached teacher logits (Hinton et al. 2015; Speedy Gonzales)."""

    grid: Grid = Grid(batch_size=(16,), epochs=(30,), learning_rate=("1e-4",))
    """The trials of each student and task. A student that learns from logits needs more epochs than fine-tuning, and stops by
    `patience`."""
    students: dict[Identifier, Student] = Field(min_length=1)
    """Students by id."""
    patience: int = Field(10, ge=0)
    """Early stopping: a trial ends after more than this many epochs without a strictly lower validation loss."""
    logits_precision: Precision | None = None
    """Precision of the teacher's forward passes that compute them; null means fine_tuning.options.precision. (SG: fp32)"""
    augmentation: Augmentation | None = None
    """Beyond the thesis: unlabelled text, for methods of `ablation` with `augmented: true`; null means none."""
