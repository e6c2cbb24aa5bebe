"""The whole configuration of a study, as pure data; `ligero.settings.checks` says what is wrong between its parts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ligero.settings.ablation import Ablation
from ligero.settings.base import Identifier, ResultsFolder, Settings, UserPath
from ligero.settings.corpus import Corpus
from ligero.settings.distillation import Distillation
from ligero.settings.efficiency import Efficiency, Speed
from ligero.settings.export import Export
from ligero.settings.hardware import HardwareOfStages
from ligero.settings.models import Model
from ligero.settings.search import Search
from ligero.settings.sources import Source
from ligero.settings.tasks import Task
from ligero.settings.teachers import Teachers
from ligero.settings.tokenizers import Tokenizer
from ligero.settings.training import FineTuning

Regime = Literal["fine-tuning", "distillation"]
REGIMES: tuple[Regime, ...] = ("fine-tuning", "distillation")


class Study(Settings):
    """Everything that a study is; unknown keys are refused."""

    name: str
    """Name shown in tables and report."""
    scale: Literal["own", "miniature", "sample", "thesis"] = "own"
    """At which scale the numbers were made, printed in every table: of a study of your own, or the project's and the thesis'."""
    results_dir: ResultsFolder = "results"
    """Folder of everything produced, relative to the working directory: letters, digits and `._-+@`, no spaces."""
    mirror: UserPath | None = None
    """Folder or URL tried before a source's own location."""
    embedded_scale: float = Field(1.0, gt=0.0)
    """Size of the embedded study's generated data, where sources are generated."""
    seed: int = 42
    """Seed of the embedded study's generator."""
    source_registry: UserPath | None = "resources/sources.yaml"
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
    export: Export = Export()
    """How selected models are exported (target `exports`)."""
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
