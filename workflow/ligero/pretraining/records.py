"""What a pretraining leaves behind about itself: a line of metrics for every step that is logged, a summary, and what a teacher's states are
made of. Needs no torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TypedDict

from ligero.common.errors import DataError
from ligero.common.records import DamagedError, check_file, digests_of, read_record, write_record

METRICS_FILE, SUMMARY_FILE, STATES_FILE = "metrics.jsonl", "summary.json", "states.json"
STATES_REMEDY = "Make the states again: delete the folder and start snakemake again."


class MetricsLine(TypedDict, total=False):
    """One line of metrics.jsonl: a logged step, or an `event` (start, validation, rollback, diverged)."""

    event: str
    step: int
    loss: float
    """What training minimises: of masked tokens and sentence order together, or of a teacher's states and masked tokens."""
    mlm_loss: float
    mlm_accuracy: float
    sop_loss: float
    """Sentence order, where the model predicts it."""
    sop_accuracy: float
    state_loss: float
    """Squared error of a teacher's states, which have variance 1, where the model learns from one."""
    gradient_norm: float
    learning_rate: float
    tokens: int
    """Seen so far."""
    tokens_per_second: float
    share_of_peak: float
    parameters: int
    """At the start."""
    to_step: int
    """That a rollback went back to."""
    learning_rate_scale: float
    problem: str
    """Why it diverged."""


def read_metrics(path: Path) -> list[MetricsLine]:
    """All lines of a metrics file.

    Raises:
        DataError: it is missing, or a line is no JSON.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise DataError(path, None, "no such file.") from error
    found: list[MetricsLine] = []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise DataError(path, number, f"not valid JSON: {error}.") from error
    return found


@dataclass(frozen=True)
class PretrainingSummary:
    """What is worth knowing of a finished run: summary.json."""

    model: str
    parameters: int
    steps: int
    tokens: int
    """That the weights have seen."""
    corpus_tokens: int
    epochs: float
    seconds: float
    tokens_per_second: float
    measured_peak_gflops: float
    share_of_peak: float
    device: str
    precision: str
    """fp32 or bf16."""
    processes: int
    threads: int
    final: dict[str, float]
    """The last step's losses."""
    validation: dict[str, float]
    """Of the last evaluation; empty without held-out text."""
    unigram_loss: float | None
    """Of the same text, knowing token frequencies alone."""
    rollbacks: list[MetricsLine]
    determined_by: str
    """Digest of the job."""
    fingerprint: str
    """Digest of the job, the text and the tokenizer."""
    torch: str
    files: dict[str, str] = field(default_factory=dict)
    """Digest of the metrics beside it."""

    def write(self, folder: Path) -> None:
        """Write summary.json beside the metrics, whose digest it records."""
        write_record(folder / SUMMARY_FILE, asdict(replace(self, files=digests_of(folder, [METRICS_FILE]))))

    @classmethod
    def read(cls, folder: Path) -> PretrainingSummary:
        """Read the summary in `folder`.

        Raises:
            DataError: it is missing.
            DamagedError: it is not what was written.
        """
        path = folder / SUMMARY_FILE
        values = read_record(path)
        try:
            return cls(**values)
        except TypeError as error:
            raise DamagedError(path, None, f"does not describe a pretraining: {error}.") from error

    def metrics(self, folder: Path) -> list[MetricsLine]:
        """The metrics beside it.

        Raises:
            DamagedError: they are not what was written.
        """
        check_file(folder / METRICS_FILE, self.files.get(METRICS_FILE, "none"))
        return read_metrics(folder / METRICS_FILE)


@dataclass(frozen=True)
class StatesInfo:
    """What states.json holds."""

    teacher: str
    """Id of the model."""
    depends_on: str
    """Digest of the settings, the teacher, both tokenizers and the text."""
    layers: list[int]
    """Of the teacher, whose normalised states are averaged; 0 are the embeddings."""
    dimensions: int
    kept_variance: float
    """Share of the states' variance that these dimensions hold."""
    tokens: dict[str, int]
    """Of the student, for each split."""
    spans: dict[str, int]
    untaught_tokens: int
    """Training tokens without a state: no boundary of the teacher's follows them in their line."""
    teacher_tokens: int
    """That the teacher read."""
    seconds: float
    device: str
    threads: int
    precision: str
    files: dict[str, str]
    """Digest of each file."""

    @classmethod
    def read(cls, folder: Path) -> StatesInfo:
        """Read the states.json of `folder`.

        Raises:
            DataError: it is missing.
            DamagedError: it is not what was written.
        """
        path = folder / STATES_FILE
        values = read_record(path, STATES_REMEDY)
        try:
            return cls(**values)
        except TypeError as error:
            problem = f"does not describe a teacher's states: {error}."
            raise DamagedError(path, None, problem, STATES_REMEDY) from error

    def write(self, folder: Path) -> None:
        write_record(folder / STATES_FILE, asdict(self))
