"""The whole configuration of a study, and the checks that need to see more than one of its parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Literal

from pydantic import Field, model_validator

from ligero.settings.base import Identifier, Settings
from ligero.settings.comparison import Comparison
from ligero.settings.corpus import Corpus, Tokenizer
from ligero.settings.hardware import HardwareOfStages
from ligero.settings.models import Model
from ligero.settings.search import Search
from ligero.settings.sources import Source
from ligero.settings.tasks import Task
from ligero.settings.training import Distillation, FineTuning, Teachers

Regime = Literal["fine-tuning", "distillation"]
REGIMES: tuple[Regime, ...] = ("fine-tuning", "distillation")


class Efficiency(Settings):
    """Conditions under which size and multiply-accumulate operations are counted (thesis: batch 1, 512 tokens, 3 labels)."""

    sequence_length: int = Field(512, ge=1)
    labels: int = Field(3, ge=1)
    reference: Identifier
    """Model whose MACs are speedup 1."""


class Speed(Settings):
    """Protocol of the latency benchmark (thesis: batch 1, 512 tokens, 10 warm-up and 100 timed runs)."""

    sequence_length: int = Field(512, ge=1)
    warmup_runs: int = Field(10, ge=0)
    timed_runs: int = Field(100, ge=1)
    outlier_z: float = Field(3.5, gt=0.0)
    """Runs whose modified z-score (Iglewicz and Hoaglin 1993) exceeds this are left out."""


class Study(Settings):
    """Everything that a study is; unknown keys are refused."""

    name: str
    """Name shown in tables and report."""
    scale: Literal["miniature", "sample", "thesis"]
    """At which scale the numbers were made; printed in every table."""
    results_dir: str = "results"
    """Folder of everything produced."""
    mirror: str | None = None
    """Folder or URL tried before a source's own location."""
    embedded_scale: float = Field(1.0, gt=0.0)
    """Size of the embedded study's generated data, where sources are generated."""
    seed: int = 42
    """Seed of the embedded study's generator."""
    source_registry: str | None = "resources/sources.yaml"
    """File with the known sources; entries under 'sources' are added to it."""
    sources: dict[Identifier, Source] = Field(default_factory=dict)
    corpus: Corpus | None = None
    tokenizers: dict[Identifier, Tokenizer] = Field(default_factory=dict)
    models: dict[Identifier, Model] = Field(min_length=1)
    tasks: dict[Identifier, Task] = Field(min_length=1)
    protocol: Literal["thesis", "recommended"] = "thesis"
    """Preset of the training options; options given explicitly win."""
    fine_tuning: FineTuning
    teachers: Teachers = Teachers()
    distillation: Distillation | None = None
    comparison: Comparison | None = None
    search: Search = Search()
    efficiency: Efficiency
    speed: Speed = Speed()
    hardware: HardwareOfStages = HardwareOfStages()
    left_out: dict[Identifier, str] = Field(default_factory=dict)
    """Models left out of this run with the reason; filled by the workflow where local weights are not there."""

    def __hash__(self) -> int:
        """By identity, so that plans are cached for one study; hashing its contents costs more than planning."""
        return id(self)

    @property
    def reads_corpus(self) -> bool:
        """Whether a run reads the corpus: it does where something is pretrained."""
        return self.corpus is not None and any(model.weights == "pretrain" for model in self.models.values())

    @model_validator(mode="after")
    def _references_exist(self) -> Study:
        problems = [*self._dangling(), *self._clashes()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _dangling(self) -> Iterable[str]:
        """Every reference to something that is not defined, as 'key path: what is missing'."""

        def missing(path: str, kind: str, wanted: str, known: Iterable[str]) -> Iterable[str]:
            if wanted not in (names := list(known)):
                yield f"{path}: no {kind} '{wanted}' ({_hint(wanted, names)})"

        if self.corpus:
            for number, part in enumerate(self.corpus.parts):
                yield from missing(f"corpus.parts.{number}", "source", part, self.sources)
        for source_id, source in self.sources.items():
            if source.archive:
                yield from missing(
                    f"sources.{source_id}.archive.source", "source", source.archive.source, self.sources
                )
        for model_id, model in self.models.items():
            if model.tokenizer:
                yield from missing(
                    f"models.{model_id}.tokenizer", "tokenizer", model.tokenizer, self.tokenizers
                )
            if model.weights == "pretrain" and not self.corpus:
                yield f"models.{model_id}.weights: 'pretrain' needs a corpus"
        for task_id, task in self.tasks.items():
            for archive in task.documents:
                yield from missing(f"tasks.{task_id}.documents", "source", archive, self.sources)
            for split, spec in task.splits:
                for wanted in (*spec.sources, *spec.without_ids_of):
                    yield from missing(f"tasks.{task_id}.splits.{split}", "source", wanted, self.sources)
        for task_id, model_id in self.teachers.choices.items():
            yield from missing("teachers.choices", "task", task_id, self.tasks)
            yield from missing(f"teachers.choices.{task_id}", "model", model_id, self.models)
        for model_id in self.teachers.candidates or ():
            yield from missing("teachers.candidates", "model", model_id, self.models)
        if self.teachers.rule == "list":
            for task_id in self.tasks:
                if task_id not in self.teachers.choices:
                    yield f"teachers.choices: rule 'list' needs an entry for task '{task_id}'"
        for student_id in self.search.students:
            students = self.distillation.students if self.distillation else ()
            yield from missing("search.students", "student", student_id, students)
        for task_id in self.search.tasks:
            yield from missing("search.tasks", "task", task_id, self.tasks)
        for stage in ("fine_tuning", "distillation"):
            section = getattr(self, stage)
            for key in ("selection", "evaluate_every_steps") if section else ():
                for task_id in getattr(section, key):
                    yield from missing(f"{stage}.{key}", "task", task_id, self.tasks)
        if self.distillation:
            for student_id, student in self.distillation.students.items():
                yield from missing(
                    f"distillation.students.{student_id}.initial", "model", student.initial, self.models
                )
        if self.comparison:
            students = self.distillation.students if self.distillation else ()
            yield from missing("comparison.student", "student", self.comparison.student, students)
            for task_id in self.comparison.tasks:
                yield from missing("comparison.tasks", "task", task_id, self.tasks)
            methods = self.comparison.methods
            yield from missing("comparison.reference", "method", self.comparison.reference, methods)
            yield from self._unfit_methods(self.comparison)
        yield from missing("efficiency.reference", "model", self.efficiency.reference, self.models)

    def _unfit_methods(self, comparison: Comparison) -> Iterable[str]:
        """Methods that want unlabelled text and cannot have it."""
        distillation = self.distillation
        for method_id, method in comparison.methods.items():
            path = f"comparison.methods.{method_id}"
            if not method.augmented or distillation is None:
                continue
            if distillation.augmentation is None:
                yield f"{path}.augmented: needs distillation.augmentation (the ratio of examples to add)"
            compared = [self.tasks[task] for task in comparison.tasks if task in self.tasks]
            if self.corpus is None and any(
                task.type != "question_answering" and not task.has_pairs for task in compared
            ):
                yield f"{path}.augmented: needs a corpus, whose sentences the teacher labels"
            if (distillation.alpha if method.alpha is None else method.alpha) or method.objective == "gold":
                yield f"{path}.augmented: unlabelled text has no gold labels; use objective distilled and alpha 0"

    def _clashes(self) -> Iterable[str]:
        """Combinations that cannot work."""
        ids_of_paths: dict[str, str] = {}
        for source_id, source in self.sources.items():
            if (first := ids_of_paths.setdefault(source.path, source_id)) != source_id:
                yield f"sources.{source_id}.path: source '{first}' has the same path {source.path}"
        for tokenizer_id in self.tokenizers:
            if tokenizer_id in self.models and self.models[tokenizer_id].weights != "pretrain":
                yield f"tokenizers.{tokenizer_id}: a model with its own vocabulary has the same id; rename one"
        for model_id, model in self.models.items():
            limit = model.architecture.max_position_embeddings - (
                2 if model.architecture.type == "roberta" else 0
            )
            if model.pretraining and model.pretraining.sequence_length > limit:
                yield (
                    f"models.{model_id}.pretraining.sequence_length: {model.pretraining.sequence_length} exceeds "
                    f"the model's {limit} positions"
                )
            recipe, hardware = model.pretraining, self.hardware.pretraining
            if (
                model.weights == "pretrain"
                and recipe
                and recipe.batch_size % (recipe.micro_batch_size * hardware.world)
            ):
                yield (
                    f"models.{model_id}.pretraining.micro_batch_size: {recipe.micro_batch_size} x {hardware.world} processes "
                    f"(hardware.pretraining) does not divide batch_size {recipe.batch_size}"
                )
            for task_id, task in self.tasks.items():
                length = task.max_length or self.fine_tuning.options.max_length
                if length > limit:
                    yield (
                        f"tasks.{task_id}.max_length (or fine_tuning.options.max_length): {length} exceeds the "
                        f"{limit} positions of model '{model_id}'"
                    )
        if self.distillation:
            for key in ("max_length", "doc_stride"):
                ours, theirs = getattr(self.distillation.options, key), getattr(self.fine_tuning.options, key)
                if ours != theirs:
                    yield (
                        f"distillation.options.{key}: {ours} differs from fine_tuning.options.{key}: {theirs}; teacher "
                        "and student must see the same windows"
                    )
        for student_id, student in (self.distillation.students if self.distillation else {}).items():
            initial = self.models.get(student.initial)
            layers = student.num_hidden_layers
            if initial and student.initial_layers != "spread" and initial.architecture.type == "albert":
                yield (
                    f"distillation.students.{student_id}.initial_layers: the layers of '{student.initial}' share one set of "
                    "weights, so there is nothing to choose"
                )
            if initial and layers and layers > initial.architecture.num_hidden_layers:
                yield (
                    f"distillation.students.{student_id}.num_hidden_layers: {layers} is more than the "
                    f"{initial.architecture.num_hidden_layers} of '{student.initial}'"
                )


def _hint(wanted: str, names: Sequence[str]) -> str:
    """What may have been meant: a registry of seventy sources is too long to print."""
    if len(names) <= 10:
        return f"known: {', '.join(names) or 'none'}"
    nearest = get_close_matches(wanted, names, n=3, cutoff=0.4)
    return f"nearest of {len(names)}: {', '.join(nearest)}" if nearest else f"none of {len(names)} is near"
