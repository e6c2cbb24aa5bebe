"""The whole configuration of a study, and the checks that need to see more than one of its parts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from ligero.settings.ablation import Ablation
from ligero.settings.base import Identifier, ResultsFolder, Settings
from ligero.settings.clashes import clashes
from ligero.settings.corpus import Corpus, Tokenizer
from ligero.settings.hardware import HardwareOfStages
from ligero.settings.models import Model
from ligero.settings.references import dangling
from ligero.settings.search import Search
from ligero.settings.sources import Source
from ligero.settings.tasks import Task
from ligero.settings.training import Distillation, FineTuning, Teachers

Regime = Literal["fine-tuning", "distillation"]
REGIMES: tuple[Regime, ...] = ("fine-tuning", "distillation")


class Efficiency(Settings):
    """Conditions under which size and multiply-accumulate operations are counted (thesis: batch 1, 512 tokens, 3 labels)."""

    sequence_length: int = Field(512, ge=1)
    """Tokens of the input; at most the positions of every model."""
    labels: int = Field(3, ge=1)
    """Classes of the head."""
    reference: Identifier
    """Model whose MACs are speedup 1."""


class Speed(Settings):
    """Protocol of the latency benchmark (thesis: batch 1, 512 tokens, 10 warm-up and 100 timed runs)."""

    sequence_length: int = Field(512, ge=1)
    """Tokens of the input; at most the positions of every model."""
    warmup_runs: int = Field(10, ge=0)
    """Runs before the clock is read."""
    timed_runs: int = Field(100, ge=1)
    """Runs whose time is taken."""
    outlier_z: float = Field(3.5, gt=0.0)
    """Runs whose modified z-score (Iglewicz and Hoaglin 1993) exceeds this are left out."""


class Study(Settings):
    """Everything that a study is; unknown keys are refused."""

    name: str
    """Name shown in tables and report."""
    scale: Literal["own", "miniature", "sample", "thesis"] = "own"
    """At which scale the numbers were made, printed in every table: of a study of your own, or the project's and the thesis'."""
    results_dir: ResultsFolder = "results"
    """Folder of everything produced, relative to the working directory: letters, digits and `._-+@`, no spaces."""
    mirror: str | None = None
    """Folder or URL tried before a source's own location."""
    embedded_scale: float = Field(1.0, gt=0.0)
    """Size of the embedded study's generated data, where sources are generated."""
    seed: int = 42
    """Seed of the embedded study's generator."""
    source_registry: str | None = "resources/sources.yaml"
    """File with the known sources; entries under 'sources' are added to it."""
    sources: dict[Identifier, Source] = Field(default_factory=dict)
    """Files of the corpus and of the tasks, beside those of the registry."""
    corpus: Corpus | None = None
    """The raw text; null where nothing is pretrained."""
    tokenizers: dict[Identifier, Tokenizer] = Field(default_factory=dict)
    """Vocabularies trained on the corpus."""
    models: dict[Identifier, Model] = Field(min_length=1)
    """The systems that are fine-tuned, in the order of the tables."""
    tasks: dict[Identifier, Task] = Field(min_length=1)
    """What they are fine-tuned on, in the order of the tables."""
    protocol: Literal["thesis", "recommended"] = "recommended"
    """Preset of the training options; options given explicitly win."""
    fine_tuning: FineTuning = FineTuning()
    """Grid and options of fine-tuning."""
    teachers: Teachers = Teachers()
    """Who teaches each task."""
    distillation: Distillation | None = None
    """Students, and how they learn; null distils none."""
    ablation: Ablation | None = None
    """Ways to train one student, side by side; null compares none."""
    search: Search | None = None
    """The searches of the target `searches`; null has none."""
    efficiency: Efficiency
    """How size is counted."""
    speed: Speed = Speed()
    """How latency is measured."""
    hardware: HardwareOfStages = HardwareOfStages()
    """What jobs ask of the machine or cluster."""
    left_out: dict[Identifier, str] = Field(default_factory=dict)
    """Models left out of this run with the reason. No key for users: the workflow fills it where local weights are not there."""

    def __hash__(self) -> int:
        """By identity, so that plans are cached for one study; hashing its contents costs more than planning."""
        return id(self)

    @property
    def reads_corpus(self) -> bool:
        """Whether a run reads the corpus: it does where something is pretrained."""
        return self.corpus is not None and any(model.weights == "pretrain" for model in self.models.values())

    @model_validator(mode="after")
    def _references_exist(self) -> Study:
        if problems := problems_of(self):
            raise ValueError("\n".join(problems))
        return self


def problems_of(study: Study) -> list[str]:
    """What the checks of single sections cannot see, each as 'key path: problem'; clashes where all references are sound."""
    return [*dangling(study)] or [*clashes(study)]
