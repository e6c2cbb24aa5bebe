"""What distillation leaves on disk, one type per record with its reader and its writer. Needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import NotRequired, TypedDict, cast

from ligero.common.records import read_record, record_file
from ligero.training.records import BestPoint, ModelScoreRecord, TrialSettings, TrialValues

REMEDY = "Make the logits anew: snakemake --forcerun cache_logits cache_all_logits."


class LogitDigests(TypedDict):
    """Everything that a teacher's logits on a training split depend on."""

    weights: str
    encoder: str
    labels: list[str]
    examples: str
    tokens: str
    dtype: NotRequired[str]
    precision: NotRequired[str]


class LogitsMeta(TypedDict):
    """`meta.json` of a cache of logits."""

    task: str
    teacher: str
    depends_on: LogitDigests
    together: dict[str, float]
    """The weights of all teachers that teach the task together."""
    caches: NotRequired[dict[str, str]]
    """Where they are several, in the record of the first: the digests of the logits of each. Students depend on this file alone."""
    task_type: NotRequired[str]
    features: NotRequired[int]
    entries: NotRequired[int]
    classes: NotRequired[int]
    dtype: NotRequired[str]
    files: NotRequired[dict[str, str]]


class LogitsRun(TypedDict):
    """What it took to run one teacher over a training split."""

    teacher: str
    seconds: float
    """Over all parts, whoever computed them."""
    device: str
    threads: int
    precision: str
    halvings: list[dict[str, int]]
    """Where memory ran out: from, to."""


class LogitsCost(TypedDict):
    """What it took to run a task's teachers."""

    task: str
    runs: list[LogitsRun]


class TeacherChoice(TypedDict):
    """The teacher of a task and why it was chosen."""

    task: str
    teacher: str
    rule: str
    """validation, published or list."""
    losses: dict[str, float | None]
    """Validation loss of every candidate; None where it was never finite."""
    model_digest: str
    weights: dict[str, float]
    """Of the teachers that teach together, the first of them is the teacher."""
    tokenizers: dict[str, str]
    """Of each of them."""


class AblationRun(ModelScoreRecord):
    """One run of an ablation: the score on the test split, and how it was trained."""

    method: str
    seed: int
    trial: TrialValues
    best: BestPoint
    settings: TrialSettings | None
    versions: dict[str, str]
    steps: int
    """Of the optimiser."""
    training_seconds: float
    units: list[list[float]]
    """[examples, counts]: what the metrics are functions of, for tests over several seeds."""


class SearchRow(TypedDict):
    """A finished trial of a search."""

    number: int
    state: str
    """complete, pruned or fail."""
    validation_loss: float | None
    """Of the trial; of one that did not complete, the lowest that it reported."""
    epochs: int
    loss: str | None
    alpha: float | None
    temperature: float | None
    learning_rate: float | None
    seconds: float | None


class SearchSummary(TypedDict):
    """What a search found; `rows` are its finished trials in the order of their numbers."""

    search: str
    trials: int
    pruned: int
    failed: int
    best_per_loss: list[SearchRow]
    importances: dict[str, float]
    rows: list[SearchRow]


class SearchWorker(TypedDict):
    """What one worker did for a search."""

    search: str
    trials: int
    """Of its own that ended."""
    finished_by_all: int
    seconds: float
    device: str
    threads: int


def read_meta(folder: Path) -> LogitsMeta:
    return cast(LogitsMeta, read_record(folder / "meta.json", REMEDY))


read_choice, write_choice = record_file(TeacherChoice)
read_cost, write_cost = record_file(LogitsCost)
read_run, write_run = record_file(AblationRun)
read_search_summary, write_search_summary = record_file(SearchSummary)
read_search_worker, write_search_worker = record_file(SearchWorker)
