"""The whole configuration of a study, as pure data; `ligero.settings.checks` says what is wrong between its parts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ligero.settings.base import Identifier, Name, ResultsFolder, Seed, Settings, UserPath
from ligero.settings.corpus import Corpus
from ligero.settings.distillation import Distillation, Teachers
from ligero.settings.efficiency import Efficiency, Speed
from ligero.settings.export import Export
from ligero.settings.hardware import HardwareOfStages
from ligero.settings.models import Model
from ligero.settings.sources import Source
from ligero.settings.tasks import Task
from ligero.settings.tokenizers import Tokenizer
from ligero.settings.training import Ablation, FineTuning, Search

Regime = Literal["fine-tuning", "distillation"]
REGIMES: tuple[Regime, ...] = ("fine-tuning", "distillation")


class Study(Settings):
    """The whole configuration of a study; unknown keys are rejected."""

    name: Name
    """Name shown in tables and report."""
    scale: Literal["own", "miniature", "sample", "thesis"] = "own"
    """At which scale the numbers were made, printed in every table: of a study of your own, or the project's and the thesis'."""
    results_dir: ResultsFolder = "results"
    """Folder of everything produced, relative to the working directory: letters, digits and `._-+@`, no spaces."""
    mirror: UserPath | None = None
    """Folder or URL that is tried before a source's own location."""
    embedded_scale: float = Field(1.0, gt=0.0)
    """Factor on the amount of generated data, for sources with `generated: true`."""
    seed: Seed = 42
    """Seed of the generated data."""
    source_registry: UserPath | None = "resources/sources.yaml"
    """File of known sources; entries of `sources` are added to it."""
    sources: dict[Identifier, Source] = Field(default_factory=dict)
    """Files of the corpus and of the tasks by id, in addition to the registry's."""
    corpus: Corpus | None = None
    """The raw text; null if nothing is pretrained."""
    tokenizers: dict[Identifier, Tokenizer] = Field(default_factory=dict)
    """Tokenizers trained on the corpus, by id."""
    models: dict[Identifier, Model] = Field(min_length=1)
    """Models that are fine-tuned, by id, in the order of the tables."""
    tasks: dict[Identifier, Task] = Field(min_length=1)
    """Tasks that they are fine-tuned on, by id, in the order of the tables."""
    protocol: Literal["thesis", "recommended"] = "recommended"
    """Preset of training options; explicit options take precedence."""
    fine_tuning: FineTuning = FineTuning()
    """Grid and options of fine-tuning."""
    teachers: Teachers = Teachers()
    """How each task's teacher is chosen."""
    distillation: Distillation | None = None
    """Students, and how they learn; null means none."""
    ablation: Ablation | None = None
    """Methods of training one student, compared with several seeds; null means none."""
    search: Search | None = None
    """The target `searches`: searches over distillation's hyper-parameters; null means none."""
    efficiency: Efficiency
    """How size and operations are counted."""
    speed: Speed = Speed()
    """How latency is measured."""
    export: Export = Export()
    """How selected models are exported (target `exports`)."""
    hardware: HardwareOfStages = HardwareOfStages()
    """What jobs request from the machine or cluster."""
    left_out: dict[Identifier, str] = Field(default_factory=dict)
    """Models excluded from this run, with the reason. Not for users: set by the workflow where local weights are missing."""

    def __hash__(self) -> int:
        """By identity, so that plans can be cached per study: hashing its contents would cost more than planning."""
        return id(self)

    @property
    def reads_corpus(self) -> bool:
        """Whether the corpus is used: it is if a model is pretrained."""
        return self.corpus is not None and any(
            model.weights == "pretrain" for key, model in self.models.items() if key not in self.left_out
        )
