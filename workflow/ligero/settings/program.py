"""How programs get their settings: the resolved configuration, and the digest that the workflow planned them with."""

from __future__ import annotations

import argparse
from pathlib import Path

from ligero.common.errors import DataError, LigeroError, MismatchError
from ligero.common.files import write_text
from ligero.common.records import read_record, write_record
from ligero.settings.base import Settings
from ligero.settings.jobs import digest
from ligero.settings.study import Study


def job_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of every program that does a job of the configuration."""
    parser.add_argument("--config", type=Path, required=True, help="the study's resolved configuration")
    parser.add_argument("--expect", help="digest of the job's settings, as the workflow planned")


def shard_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of programs that run a shard of trials, whatever their regime."""
    training_arguments(parser)
    parser.add_argument("--shard", type=int, required=True, help="number of the shard")


def training_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of every program that trains on tasks."""
    job_arguments(parser)
    parser.add_argument("--weights", type=Path, required=True, help="model folder that training starts from")
    parser.add_argument("--encoded-dir", type=Path, required=True, help="R/encoded/TOKENIZER of the model")
    parser.add_argument("--examples-dir", type=Path, required=True, help="R/tasks, the prepared tasks")
    parser.add_argument("--state-dir", type=Path, required=True, help="kept between runs: below R/state")
    parser.add_argument("--out", type=Path, required=True, help="file with the results")
    parser.add_argument("--threads", type=int, default=1)


def teaching_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of programs that train a student from cached logits."""
    parser.add_argument("--logits-dir", type=Path, required=True, help="R/logits")
    parser.add_argument(
        "--teachers-dir", type=Path, required=True, help="R/models/fine-tuning, the teachers' models"
    )


def measuring_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of programs that measure every system of the study."""
    job_arguments(parser)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--results", type=Path, help="folder whose encoders are read; the study's by default")


RESOLVED_REMEDY = (
    "Start snakemake again, which writes it anew; if nothing is to be done, with --forcerun make_summary."
)
"""Where nothing is to be done Snakemake begins no run, which is what writes it."""


def write_resolved(path: Path | str, study: Study) -> None:
    """Write the resolved configuration, which programs read."""
    write_record(path, study.model_dump(mode="json"))


def load_resolved(path: Path | str) -> Study:
    """Read the resolved configuration that the workflow wrote when it started.

    Raises:
        DamagedError: it is not what was written.
    """
    return Study.model_validate(read_record(path, RESOLVED_REMEDY))


def note_soundness(config: Path, task_id: str, error: LigeroError | None) -> None:
    """Keep what is wrong with a task's data where programs that train look (`refuse_unsound_data`); None: nothing is."""
    note = config.parent / _UNSOUND / task_id
    if error is None:
        note.unlink(missing_ok=True)
    else:
        write_text(note, f"{error}\n")


def refuse_unsound_data(config: Path) -> None:
    """Refuse to train in a run that has found the data of a task to be wrong: hours later it would end without a result.

    Raises:
        DataError: naming the tasks.
    """
    started = (
        config.stat().st_mtime
    )  # the workflow writes it when a run starts; older notes are of other runs
    notes = sorted((config.parent / _UNSOUND).glob("*"))
    if wrong := [note.name for note in notes if note.stat().st_mtime >= started]:
        raise DataError(
            config.parent / "tasks", None, f"nothing is trained until the data of {', '.join(wrong)} are corrected.",
            "Correct them (see the errors above) and run the same command again.",
        )  # fmt: skip


_UNSOUND = Path("state", "unsound")


def check_digest(job: Settings, expected: str | None) -> None:
    """Refuse to run with other settings than the workflow planned.

    Raises:
        MismatchError: the configuration changed between planning and running.
    """
    if expected is not None and (found := digest(job)) != expected:
        raise MismatchError(
            f"{type(job).__name__}: planned with settings {expected}, but the configuration now gives {found}. "
            "It was changed while the workflow ran; start snakemake again."
        )
