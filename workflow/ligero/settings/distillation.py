"""Settings of distillation: teachers, students, how they learn from cached logits, unlabelled examples."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from ligero.common.errors import ConfigurationError, DataError
from ligero.common.names import plain
from ligero.common.thesis_tables import THESIS_TABLES
from ligero.settings.base import Identifier, Name, Precision, Seed, Settings, SomeIds, switched_off
from ligero.settings.training import Grid, GridOverride, Training


class Teachers(Settings):
    """How the teacher of each task is chosen."""

    rule: Literal["validation", "published", "list"] = "validation"
    """Take the candidate with the best validation loss, the thesis' choice, or the one under `choices`."""
    candidates: SomeIds | None = None
    """Ids of the models considered by the rule 'validation'; null means all."""
    choices: dict[Identifier, Identifier] = Field(default_factory=dict)
    """Teacher (model id) per task id, for the rule 'list'; entries override the other rules too."""
    number: int = Field(1, ge=1)
    """Teachers per task: with the rule 'validation', this many with the lowest losses teach together (thesis: 1)."""
    weighting: Literal["mean", "validation"] = "mean"
    """How several teachers are averaged: with equal weights, or in proportion to exp(-validation loss)."""


PUBLISHED = THESIS_TABLES / "teachers.csv"
"""The thesis' table: columns dataset and teacher, by their printed names."""


def published_teacher(
    task_id: str, task_name: str, candidates: Mapping[str, str], table: Path = PUBLISHED
) -> str:
    """Id of the model that taught a task in the thesis; task and models are matched by their names in the tables.

    Args:
        candidates: model id to name.

    Raises:
        ConfigurationError: the table has no such task, or its teacher is not among the candidates.
    """
    wanted = _table(table).get(plain(task_name))
    if wanted is None:
        raise ConfigurationError(
            f"teachers.rule: 'published', but the thesis has no teacher for task '{task_id}' ({task_name}). "
            f"Set teachers.choices.{task_id}, or use rule 'validation'."
        )
    by_name = {plain(name): model for model, name in candidates.items()}
    if plain(wanted) not in by_name:
        raise ConfigurationError(
            f"teachers.rule: 'published' requires {wanted} as the teacher of '{task_id}', which is not a model of this study "
            f"({', '.join(candidates.values()) or 'none'}). Add the model, or set teachers.choices.{task_id}."
        )
    return by_name[plain(wanted)]


@cache
def _table(path: Path) -> dict[str, str]:
    """Task to teacher; both by name, the task's made plain."""
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            return {plain(row["dataset"]): row["teacher"] for row in csv.DictReader(handle)}
    except (OSError, KeyError) as error:
        raise DataError(path, None, f"not a table with columns dataset and teacher: {error}.") from error


InitialLayers = Literal["spread", "first", "last"]


class Student(Settings):
    """A student: an architecture and where its weights start."""

    name: Name
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
    early_exit: bool = Field(False, exclude_if=switched_off)
    """ALBERT only, beyond the thesis: every repetition of the layer learns from the teacher, and the exported graph reads a text no
    deeper than it takes to be certain."""


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
    seed: Seed = 42
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
