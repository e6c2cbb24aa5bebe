"""The links of a number's chain, from the cell of a table back to source files. `dataclasses.asdict` gives plain JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ligero.distillation.records import LogitDigests
from ligero.efficiency.records import CountingConditions
from ligero.settings.study import Regime
from ligero.training.records import Candidate

State = Literal["as recorded", "changed", "missing", "no digest recorded"]


@dataclass(frozen=True)
class KeptFile:
    """A file that a number was computed from, compared with the digest that was recorded when it was written."""

    path: str
    recorded: str | None
    state: State


@dataclass(frozen=True)
class SourceFile:
    """A file that the study read from outside, or generated itself.

    Attributes:
        sha256: as recorded when it was read or first fetched; of the file that is there now where nothing recorded it (`recorded`).
    """

    id: str
    path: str
    sha256: str | None
    recorded: bool
    licence: str
    citation: str
    generated: bool


@dataclass(frozen=True)
class TaskData:
    """The examples of a task.

    Attributes:
        examples: by split; digests likewise, over the examples and not over the bytes of the files.
        notes: what was cut from another split, shortened or shared between splits.
    """

    task: str
    examples: dict[str, int]
    digests: dict[str, str]
    sources: list[SourceFile]
    notes: list[str]


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer, and the task as it encoded it."""

    id: str
    sha256: str
    max_length: int | None
    digests: dict[str, str]


@dataclass(frozen=True)
class SelectedTrial:
    """The trial whose model was scored.

    Attributes:
        place: among the candidates, from 1.
        chosen_by: loss or score, on validation.
        options: of training; distillation likewise, None where the gold labels taught.
    """

    id: str
    place: int
    chosen_by: str
    loss: float | None
    score: float | None
    epoch: float | None
    seed: int
    candidates: list[Candidate]
    digest: str | None
    model_digest: str
    device: str
    threads: int | None
    precision: str | None
    seconds: float
    versions: dict[str, str]
    options: dict[str, object]
    distillation: dict[str, object] | None


@dataclass(frozen=True)
class StartingWeights:
    """The encoder that training started from.

    Attributes:
        origin: pretrained here, hub or local.
        loss: of masked tokens on held-out text at the end of pretraining; unigram_loss: of a model that knows frequencies alone.
        job: digest of the pretraining's settings; fingerprint: of them, the text and the tokenizer.
        sources: of the text that it was pretrained on here.
        teacher: whose hidden states it was pretrained on here.
    """

    model: str
    origin: str
    digest: str | None
    steps: int | None = None
    tokens: int | None = None
    loss: float | None = None
    unigram_loss: float | None = None
    job: str | None = None
    fingerprint: str | None = None
    hub: str | None = None
    revision: str | None = None
    folder: str | None = None
    licence: str = ""
    sources: list[SourceFile] = field(default_factory=list)
    teacher: StartingWeights | None = None


@dataclass(frozen=True)
class Teaching:
    """Who taught a student.

    Attributes:
        losses: of every candidate on validation, which decided where the rule is `validation`.
        together: weights of the teachers that teach together; the teacher alone has 1.
        depends_on: what its cached logits were computed from.
    """

    teacher: str
    name: str
    rule: str
    losses: dict[str, float | None]
    model_digest: str
    together: dict[str, float]
    logits: KeptFile
    depends_on: LogitDigests


@dataclass(frozen=True)
class Measurement:
    """One metric of one system on one test split.

    Attributes:
        regime: None for a baseline, which needs no model.
        metric: key among the metrics of the score file.
        value: in percent, unrounded; interval: its 95 % bootstrap interval.
        scores: the file that holds it.
        predictions: None for a baseline, whose answers follow from the training split.
    """

    regime: Regime | None
    system: str | None
    name: str
    task: str
    task_name: str
    metric: str
    value: float
    interval: list[float] | None
    examples: int
    scores: str
    predictions: KeptFile | None
    data: TaskData
    vocabulary: Vocabulary | None = None
    trial: SelectedTrial | None = None
    start: StartingWeights | None = None
    teaching: Teaching | None = None


@dataclass(frozen=True)
class Count:
    """What was counted on an architecture, without weights: parameters, operations, bytes."""

    regime: Regime
    system: str
    name: str
    what: str
    value: int
    architecture: dict[str, object]
    conditions: CountingConditions


@dataclass(frozen=True)
class Chain:
    """Where one cell of a table comes from.

    Attributes:
        table: name of the table; row: label of its row; column: its name.
        printed: what the cell holds.
        formula: how it follows from what was measured, in words.
        value: the same, unrounded; None where it is an interval, or not a number of this chain.
        artefacts: every file that the table was made from.
        command: the Snakemake line that makes the table again.
    """

    table: str
    row: str
    column: str
    printed: str
    formula: str
    value: float | None
    measurements: list[Measurement]
    counts: list[Count]
    artefacts: list[str]
    command: str


@dataclass(frozen=True)
class Recomputed:
    """A number once more, by a path of its own.

    Attributes:
        printed: as the table would print it.
        equal: to the digit, and to nine decimals in the score file.
        problems: what differs, with the file at fault.
    """

    printed: str | None
    equal: bool
    problems: list[str]
