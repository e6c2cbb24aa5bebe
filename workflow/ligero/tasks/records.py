"""What is to be known of a prepared task and of an encoded one, one type per `info.json` with its reader and its writer.

Also the score of answers, which several files hold.
"""

from __future__ import annotations

from pathlib import Path
from typing import NotRequired, TypedDict, cast

from ligero.common.records import DamagedError, read_record, write_record

INFO_FILE = "info.json"
EXAMPLES_REMEDY = "Make the task anew: snakemake --forcerun prepare_task."
ENCODED_REMEDY = "Encode the task anew: snakemake --forcerun encode_task."


class TaskInfo(TypedDict):
    """`info.json` of a prepared task; splits are keys of most of it."""

    task: str
    type: str
    counts: dict[str, int]
    """Examples of each split."""
    read: dict[str, int]
    """Examples in the files, before shares and limits."""
    left_out: dict[str, int]
    """Examples that the reader left out, such as questions without an answer."""
    labels: list[str]
    leaks: dict[str, dict[str, int]]
    """Pair of splits (train_test, ...) to what is shared (same_id, same_text, same_context) to its count."""
    notes: list[str]
    warnings: list[str]
    sources: dict[str, str]
    """Id to SHA-256."""
    licences: dict[str, str]
    """Id to text, where the configuration knows one; citations likewise."""
    citations: dict[str, str]
    digests: dict[str, str]
    """Split to 16 digits over its examples."""
    files: dict[str, str]
    """Name to digest."""
    augmentation: NotRequired[dict[str, int]]
    """Of a task with unlabelled examples: how many; of sentences also the lines drawn, and those left out as known."""


class EncodedInfo(TypedDict):
    """`info.json` of an encoded task."""

    vocabulary: str
    files: dict[str, str]
    """Name to digest."""
    encoder: str
    """SHA-256 of fast_tokenizer.json."""
    job: dict[str, object]
    """The encoding job, for readers."""
    counts: dict[str, dict[str, int]]
    """Split to its features, and what was counted on the way."""
    digests: dict[str, str]
    """Split to the digest of its features and examples."""
    examples_digests: dict[str, str]
    """Shared by all vocabularies: says whether a teacher's logits and a student's features are of the same examples."""


class ScoreRecord(TypedDict):
    """How good answers on a test split are, as files keep it; intervals are 95 % percentile bootstraps over examples."""

    task: str
    metric: str
    score: float
    metrics: dict[str, float]
    intervals: dict[str, list[float]]
    examples: int


def read_task_info(folder: Path) -> TaskInfo:
    """What `prepare_task` knows of the task in a folder.

    Raises:
        DataError: it is missing.
        DamagedError: it is not what was written.
    """
    return cast(TaskInfo, read_record(folder / INFO_FILE, EXAMPLES_REMEDY))


def write_task_info(folder: Path, info: TaskInfo) -> None:
    write_record(folder / INFO_FILE, info)


def read_encoded_info(folder: Path) -> EncodedInfo:
    """What `encode_task` knows of the features in `R/encoded/TOKENIZER/TASK`.

    Raises:
        DataError: it is missing.
        DamagedError: it is not what was written, or of another tokenizer or task.
    """
    info = cast(EncodedInfo, read_record(folder / INFO_FILE, ENCODED_REMEDY))
    own = (info["vocabulary"], info["job"]["task_id"])
    if own != folder.parts[-2:]:
        problem = f"it belongs elsewhere: these are the features of {own[1]} by the tokenizer {own[0]}."
        raise DamagedError(folder / INFO_FILE, None, problem, ENCODED_REMEDY)
    return info


def write_encoded_info(folder: Path, info: EncodedInfo) -> None:
    write_record(folder / INFO_FILE, info)
