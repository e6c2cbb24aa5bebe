"""From a model's logits to a task's metrics, with the examples that hold the gold answers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ligero.common.errors import DataError, MismatchError
from ligero.common.files import write_json
from ligero.common.hashing import digest_file
from ligero.common.records import check_listed
from ligero.settings.jobs import ScoringJob, TaskSpec
from ligero.settings.tasks import TaskType
from ligero.settings.training import TrainingOptions
from ligero.tasks.metrics import HEADLINE, Scored, score_answers, score_classification, score_tagging
from ligero.tasks.records import EXAMPLES_REMEDY, ScoreRecord
from ligero.tasks.squad_answers import Window, predict_answers
from ligero.tasks.tagged_files import write_columns
from ligero.training.records import ModelScoreRecord, SystemScoreRecord

if TYPE_CHECKING:  # their modules import torch, and baselines are scored without
    from ligero.training.evaluate import Predictions
    from ligero.training.features import EncodedSplit

SCORE_REMEDY = "Score again: snakemake --forcerun score_systems."
ABLATION_REMEDY = "Run it again: snakemake --forcerun train_method."
NO_PREDICTION = "O"
"""Tag of a word that truncation took from the model: no entity in NER, no part of speech at all and so always wrong."""


@dataclass(frozen=True)
class Examples:
    """The columns of an examples file, as Python lists."""

    path: Path
    columns: dict[str, list[Any]]

    @classmethod
    def load(cls, path: Path, task_type: TaskType) -> Examples:
        """Read `R/tasks/TASK/SPLIT.parquet`.

        Raises:
            DataError: missing, damaged or unreadable.
        """
        import pyarrow.parquet as pq

        check_listed(path.with_name("info.json"), path.name, EXAMPLES_REMEDY)
        try:
            with pq.ParquetFile(path) as file:  # read_table would import pandas
                return cls(path, file.read().to_pydict())
        except (OSError, ValueError) as error:
            raise DataError(
                path, None, f"not a readable Parquet file: {error}.", "Run prepare_task.py."
            ) from error

    def __len__(self) -> int:
        return len(self.columns["id"])


@dataclass(frozen=True)
class Answered:
    """What a system answered, in the form that is kept in files, and how good it was.

    Attributes:
        answers: label names (classification), tags of each sentence (tagging), or texts (question answering), one an example.
        score: the task's headline metric, in percent.
        scored: all metrics with what their intervals need.
        every_subword: tagging with `label_subwords: all`, the metrics over all labelled subwords, as the thesis' code
            counted; else None.
    """

    answers: list[Any]
    score: float
    scored: Scored
    every_subword: Scored | None = None


def score_predictions(
    task: TaskSpec,
    options: TrainingOptions,
    predictions: Predictions,
    split: EncodedSplit,
    examples: Examples,
) -> Answered:
    """Answers and metrics of a model's logits on a split.

    Raises:
        MismatchError: split and examples are not of the same data.
    """
    if int(split.examples.max()) >= len(examples):
        raise MismatchError(
            f"{examples.path}: {len(examples)} examples, but the encoded split knows row {split.examples.max()}. "
            "Encode the task again."
        )
    if task.type == "sequence_classification":
        answers: list[Any] = [task.labels[label] for label in predictions.logits.argmax(axis=1).tolist()]
    elif task.type == "token_classification":
        answers = _tags(task.labels, predictions, split, examples)
        if options.label_subwords == "all":
            answered = score_answered(task, answers, examples)
            return replace(answered, every_subword=_score_subwords(task.labels, predictions, split))
    else:
        answers = _texts(options, predictions, split, examples)
    return score_answered(task, answers, examples)


def score_answered(task: TaskSpec, answers: list[Any], examples: Examples) -> Answered:
    """Metrics of answers, whoever gave them."""
    if task.type == "sequence_classification":
        scored = score_classification(_named(task.labels, examples.columns["label"]), answers)
    elif task.type == "token_classification":
        gold = [_named(task.labels, labels) for labels in examples.columns["labels"]]
        scored = score_tagging(gold, answers)
    else:
        references = [[answer["text"] for answer in found] for found in examples.columns["answers"]]
        ids = examples.columns["id"]
        scored = score_answers(dict(zip(ids, references, strict=True)), dict(zip(ids, answers, strict=True)))
    return Answered(answers, scored.metrics[HEADLINE[task.metric]], scored)


def score_record(task_id: str, task: TaskSpec, answered: Answered, seed: int) -> ScoreRecord:
    """The entry of a score file; intervals are 95 % percentile bootstraps over examples."""
    metrics = dict(answered.scored.metrics)
    intervals = answered.scored.intervals(seed)
    if answered.every_subword is not None:
        found = answered.every_subword
        metrics |= {f"{name}_every_subword": value for name, value in found.metrics.items()}
        intervals |= {f"{name}_every_subword": ends for name, ends in found.intervals(seed).items()}
    return ScoreRecord(
        task=task_id,
        metric=task.metric,
        score=answered.score,
        metrics=metrics,
        intervals={name: list(ends) for name, ends in intervals.items()},
        examples=len(answered.answers),
    )


def answers_file(folder: Path, task_id: str, task_type: TaskType) -> Path:
    """Where a system's answers on a test split lie."""
    return folder / f"{task_id}.{'conll' if task_type == 'token_classification' else 'json'}"


def write_answers(folder: Path, task_id: str, task: TaskSpec, answers: list[Any], examples: Examples) -> Path:
    """Keep answers in the form that score.py reads: JSON id -> text or label, or CoNLL columns word, gold, predicted."""
    path = answers_file(folder, task_id, task.type)
    if task.type != "token_classification":
        write_json(path, dict(zip(examples.columns["id"], answers, strict=True)))
        return path
    gold = [_named(task.labels, labels) for labels in examples.columns["labels"]]
    write_columns(path, examples.columns["words"], gold, answers)
    return path


def score_selected(
    job: ScoringJob, *, models_dir: Path, encoded_root: Path, examples_dir: Path, predictions_dir: Path
) -> list[SystemScoreRecord]:
    """Score the selected models of some systems on the test splits; returns the entries of a score file.

    Args:
        models_dir: `R/models/REGIME`; encoded_root: `R/encoded`; examples_dir: `R/tasks`.
        predictions_dir: `R/predictions/REGIME`, gets a folder for each system.

    Raises:
        DamagedError: a model or a split is not what was written.
    """
    records: list[SystemScoreRecord] = []
    for system, vocabulary in job.systems.items():
        for task_id, task in job.tasks.items():
            _, record = score_model(
                task_id,
                task,
                job.options,
                model_dir=models_dir / system / task_id,
                encoded=encoded_root / vocabulary / task_id,
                examples_dir=examples_dir / task_id,
                predictions_dir=predictions_dir / system,
            )
            records.append(SystemScoreRecord(model=system, **record))
    return records


def score_model(
    task_id: str,
    task: TaskSpec,
    options: TrainingOptions,
    *,
    model_dir: Path,
    encoded: Path,
    examples_dir: Path,
    predictions_dir: Path,
) -> tuple[Answered, ModelScoreRecord]:
    """Answers of one model on one test split, kept as a file, and the entry of its score file.

    `max_words` makes training examples of two vocabularies equal; a test sentence is read as far as `max_length`
    lets the model, and words after that are counted in `words_not_read`. `halvings` says where memory ran out.
    """
    import torch

    from ligero.models.heads import load_selected
    from ligero.models.precision import resolve
    from ligero.training.evaluate import predict
    from ligero.training.features import EncodedSplit
    from ligero.training.steps import device_name, training_device

    started, device = time.perf_counter(), training_device()
    whole = options.model_copy(update={"max_words": None})
    split = EncodedSplit.load(encoded / "test.parquet", task.type, whole)
    examples = Examples.load(examples_dir / "test.parquet", task.type)
    model = load_selected(model_dir, task.type).to(device)
    halvings: list[dict[str, int]] = []
    precision = resolve(options.precision, device)
    predictions = predict(model, split, precision=precision, device=device, halvings=halvings)
    answered = score_predictions(task, options, predictions, split, examples)
    path = write_answers(predictions_dir, task_id, task, answered.answers, examples)
    record = ModelScoreRecord(
        **score_record(task_id, task, answered, options.seed),
        halvings=halvings,
        seconds=round(time.perf_counter() - started, 3),
        device=device_name(device),
        precision=precision,
        threads=torch.get_num_threads(),
        predictions_digest=digest_file(path),
    )
    if task.type == "token_classification":
        record["words_not_read"] = words_not_read(split, examples)
    return answered, record


def words_not_read(split: EncodedSplit, examples: Examples) -> int:
    """Words of which the model saw no token: they were cut off, or have none (control characters)."""
    return sum(map(len, examples.columns["words"])) - int(split.opens_word.sum())


def _named(labels: Sequence[str], ids: Sequence[int]) -> list[str]:
    return [labels[number] for number in ids]


def _tags(
    labels: Sequence[str], predictions: Predictions, split: EncodedSplit, examples: Examples
) -> list[list[str]]:
    """The tag of each word, read at its first subword."""
    first = split.opens_word
    rows = np.repeat(split.examples, split.lengths)[first].tolist()
    words = split.word_ids[first].tolist()
    chosen = predictions.logits[first].argmax(axis=1).tolist()
    tags = [[NO_PREDICTION] * len(sentence) for sentence in examples.columns["words"]]
    for row, word, label in zip(rows, words, chosen, strict=True):
        tags[row][word] = labels[label]
    return tags


def _score_subwords(labels: Sequence[str], predictions: Predictions, split: EncodedSplit) -> Scored:
    """Metrics where every labelled subword counts as a word: what the authors' code reports when it labels them all."""
    chosen = predictions.logits.argmax(axis=1)
    gold, predicted = [], []
    for low, high in zip(split.offsets[:-1].tolist(), split.offsets[1:].tolist(), strict=True):
        labelled = split.labels[low:high] >= 0
        gold.append(_named(labels, split.labels[low:high][labelled].tolist()))
        predicted.append(_named(labels, chosen[low:high][labelled].tolist()))
    return score_tagging(gold, predicted)


def _texts(
    options: TrainingOptions, predictions: Predictions, split: EncodedSplit, examples: Examples
) -> list[str]:
    bounds = zip(split.offsets[:-1].tolist(), split.offsets[1:].tolist(), strict=True)
    found = [
        Window(
            predictions.start[low:high], predictions.end[low:high], split.start[low:high], split.end[low:high]
        )
        for low, high in bounds
    ]
    return predict_answers(
        examples.columns["context"], split.examples, found, options.n_best, options.max_answer_length
    )
