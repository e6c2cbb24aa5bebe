"""What training leaves on disk, one type per record with its reader and its writer. Every record carries a checksum. Needs no torch.

No record holds a path: where files lie follows from the folder that is read and from the trial, so that a copied results folder is
complete and never touches the original.
"""

from __future__ import annotations

from pathlib import Path
from typing import NotRequired, TypedDict, cast

from ligero.common.records import read_record, record_file, write_record
from ligero.tasks.records import ScoreRecord

RESULT = "result.json"


class BestPoint(TypedDict):
    """The evaluation whose weights are kept; None throughout where no validation loss was finite."""

    epoch: float | None
    """1-based; a fraction inside an epoch."""
    step: int | None
    loss: float | None
    score: float | None
    """The task's metric on validation, in percent."""


class CurvePoint(TypedDict):
    """One evaluation; a loss that was not finite is None."""

    epoch: float
    step: int
    train_loss: float | None
    validation_loss: float | None
    score: float


class TrialValues(TypedDict):
    """A point of the grid."""

    model: str
    task: str
    batch_size: int
    epochs: int
    learning_rate: str
    seed: int


class Halved(TypedDict):
    """The comparison at which successive halving stopped a trial."""

    epoch: int
    """After which it took place."""
    place: int
    """Of the trial in it, from 1."""
    of: int
    """Trials that were compared."""
    kept: int
    """Of them that continued."""


class TrialSettings(TypedDict):
    """With which settings the trials of a task ran, for readers; what identifies them is their digest."""

    options: dict[str, object]
    distillation: dict[str, object] | None
    num_hidden_layers: int
    initial_layers: str
    early_exit: NotRequired[bool]
    """Only where every repetition of the layer learned."""


class TrialRecord(TypedDict):
    """The outcome of a trial: `result.json` in its state folder, and an entry of its shard's file."""

    trial: TrialValues
    id: str
    digest: str
    """Of everything that the outcome depends on."""
    group_digest: str
    """Of what the trials of one task have in common: only with one digest can they be compared."""
    best: BestPoint
    curve: list[CurvePoint]
    stopped: str
    """epochs, patience or halving; the last can't be selected."""
    halved: NotRequired[Halved]
    """Only where halving stopped it."""
    weights_digest: str | None
    """Of the best weights, beside the record in `best/` as long as the trial may be selected."""
    seconds: float
    device: str
    threads: int
    precision: str
    micro_batch_size: int
    halvings: list[dict[str, int | str]]
    """Where memory ran out: step, from, to."""
    versions: dict[str, str]
    settings: NotRequired[TrialSettings | None]
    """In result.json; a shard's file has them once per task."""


class ShardRecord(TypedDict):
    """The outcomes of the trials that shared a process."""

    settings: dict[str, TrialSettings]
    """By task."""
    trials: list[TrialRecord]


class Candidate(TypedDict):
    """A trial among which was selected."""

    id: str
    loss: float | None
    score: float | None
    epoch: float | None
    step: int | None
    stopped: str
    """epochs, patience or halving."""


class SelectionRecord(TypedDict):
    """The best trial of a system on a task."""

    regime: str
    model: str
    task: str
    metric: str
    selection_metric: str
    trial: TrialValues
    id: str
    best: BestPoint
    candidates: list[Candidate]
    seconds: float
    """Of all trials together."""
    seconds_of_best: float
    micro_batch_size: int
    device: str
    model_digest: str


NGRAMS, STATIC_EMBEDDINGS = "n-grams, logistic regression", "static embeddings, logistic regression"
ONE_LABEL = "all training examples have the same label"
"""Why logistic regression on a task was not fitted."""


class LogisticRegressionRecord(ScoreRecord):
    """The score of logistic regression on features of texts, and what it costs."""

    name: str
    """What the features are."""
    trained_on: int
    """Examples of the training split."""
    features: int
    bytes: int
    """Of weights in fp32, and of the vocabulary with what is stored of each entry."""
    milliseconds: float
    """Median of the processor time of a text, alone."""


class BaselineRecord(ScoreRecord):
    """The score of a baseline, with its name."""

    name: str
    ngrams: LogisticRegressionRecord | None
    """What a user would take instead of a language model; classification only."""


class StaticEmbeddingsRecord(TypedDict):
    """The score of the teacher's static embeddings, or why there is none."""

    scored: LogisticRegressionRecord | None
    reason: str


class ModelScoreRecord(ScoreRecord):
    """The score of a model, and what scoring it took."""

    words_not_read: NotRequired[int]
    """Tagging: words of which the model saw no token."""
    halvings: list[dict[str, int]]
    seconds: float
    device: str
    threads: int
    precision: str
    predictions_digest: str
    """Of the file with the answers."""


class SystemScoreRecord(ModelScoreRecord):
    """An entry of a score file."""

    model: str


class ScoresRecord(TypedDict):
    """The scores that one process made."""

    regime: str
    scores: list[SystemScoreRecord]


def read_trial(folder: Path) -> TrialRecord | None:
    """The outcome of the trial in a state folder, or None where it has not ended.

    Raises:
        DamagedError: it is not what was written.
    """
    path = folder / RESULT
    if not path.is_file():
        return None
    return cast(TrialRecord, read_record(path, "Delete it and start again: the trial is trained once more."))


def write_trial(folder: Path, record: TrialRecord) -> None:
    write_record(folder / RESULT, record)


def read_shard(path: Path) -> ShardRecord:
    return cast(ShardRecord, read_record(path))


def write_shard(path: Path, records: list[TrialRecord]) -> None:
    """Write `R/trials/REGIME/MODEL/shard-N.json`."""
    settings = {record["trial"]["task"]: record["settings"] for record in records if record.get("settings")}
    trials = [{key: value for key, value in record.items() if key != "settings"} for record in records]
    write_record(path, {"settings": settings, "trials": trials})


def stopped_early(selection: SelectionRecord) -> int:
    """How many of a selection's trials were stopped by successive halving."""
    return sum(candidate["stopped"] == "halving" for candidate in selection["candidates"])


read_selection, write_selection = record_file(SelectionRecord)


def read_scores(path: Path) -> ScoresRecord:
    return cast(ScoresRecord, read_record(path))


def write_scores(path: Path, regime: str, scores: list[SystemScoreRecord]) -> None:
    """Write `R/scores/REGIME/shard-N.json`."""
    write_record(path, ScoresRecord(regime=regime, scores=scores))


read_baseline, write_baseline = record_file(BaselineRecord)
read_static_embeddings, write_static_embeddings = record_file(StaticEmbeddingsRecord)
