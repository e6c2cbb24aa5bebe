"""A trial decided once, before anything is trained: its options, its folder, and the digest of what its outcome depends on. No torch."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from ligero.common.hashing import digest_value
from ligero.common.records import DamagedError
from ligero.models.digests import check_model
from ligero.settings.jobs import ShardJob
from ligero.settings.plan import Trial
from ligero.settings.training import TrainingOptions
from ligero.tasks.records import read_encoded_info
from ligero.training.records import TrialRecord, TrialSettings, read_trial

BEST = "best"


@dataclass(frozen=True)
class PlannedTrial:
    """A trial and everything that is decided before it starts.

    Attributes:
        folder: the trial's own; holds `result.json` and `best/` when done, `checkpoints/` while running.
        digest: of everything that the outcome depends on; state with another one is worthless.
        group_digest: of what the trials of one task have in common.
        patience: stop after more than this many epochs in a row without a strictly lower validation loss (of an epoch with
            several evaluations its lowest counts, one without any does not); None runs all epochs.
        settings: for readers of the record only.
    """

    trial: Trial
    options: TrainingOptions
    folder: Path
    digest: str
    group_digest: str = ""
    patience: int | None = None
    settings: TrialSettings | None = None

    @property
    def label(self) -> str:
        """Whose it is, in messages."""
        return f"{self.trial.model} {self.trial.task} {self.trial.id}"

    @property
    def best(self) -> Path:
        """Folder of the best weights."""
        return self.folder / BEST

    @property
    def checkpoints(self) -> Path:
        """Folder of what a resumed trial continues from."""
        return self.folder / "checkpoints"

    @property
    def precision_note(self) -> Path:
        """What `precision: auto` was when the trial began."""
        return self.folder / f"precision-{self.digest}.json"

    def finished(self) -> TrialRecord | None:
        """The outcome where the trial is done and nothing that it depends on has changed since."""
        record = self._ended()
        return record if record and record["stopped"] != "halving" else None

    def halved(self) -> TrialRecord | None:
        """The outcome up to where successive halving stopped the trial, likewise."""
        record = self._ended()
        return record if record and record["stopped"] == "halving" else None

    def _ended(self) -> TrialRecord | None:
        record = read_trial(self.folder)
        return record if record and record.get("digest") == self.digest else None

    def forget_progress(self) -> None:
        """Remove what a killed trial would continue from."""
        shutil.rmtree(self.checkpoints, ignore_errors=True)
        self.precision_note.unlink(missing_ok=True)


class DigestedObjectives(Protocol):
    """Knows what the objective of a task depends on beyond the job's settings."""

    def digest(self, task_id: str) -> str: ...


def trial_folder(state_dir: Path, trial: Trial) -> Path:
    """Where a trial keeps its state, below `R/state/REGIME/MODEL`."""
    return state_dir / trial.task / trial.id


def best_weights(state_dir: Path, trial: Trial) -> Path:
    """Where a trial keeps its best weights."""
    return trial_folder(state_dir, trial) / BEST


def check_best(folder: Path, remedy: str) -> str:
    """The digest of the weights that a trial left, after a comparison of all of its model's files with their digests.

    Args:
        folder: as `best_weights` names it.
        remedy: for whoever reads the error.

    Raises:
        DamagedError: a file of the weights or of the tokenizer is missing or not what was written.
    """
    if not (folder / "config.json").is_file():
        raise DamagedError(folder, None, "the weights of the best trial are missing.", remedy)
    return check_model(folder, remedy)


def train_again(regime: str) -> str:
    """The remedy for what trials left: their shards are run again, which only reads the trials that are whole."""
    rule = "finetune_model" if regime == "fine-tuning" else "distill_student"
    return f"Run its trials again: snakemake --forcerun {rule}."


def plan_trials(
    job: ShardJob,
    trials: Sequence[Trial],
    *,
    weights_digest: str,
    encoded_dir: Path,
    state_dir: Path,
    objectives: DigestedObjectives,
) -> dict[Trial, PlannedTrial]:
    """Decide some trials of a shard's tasks.

    Args:
        encoded_dir: `R/encoded/TOKENIZER`; state_dir: `R/state/REGIME/MODEL`.
    """
    plan = {}
    for task_id in job.tasks:
        group = group_digest(job, task_id, weights_digest, encoded_dir / task_id, objectives.digest(task_id))
        for trial in trials:
            if trial.task == task_id:
                plan[trial] = PlannedTrial(
                    trial=trial,
                    options=job.options_of(task_id),
                    folder=trial_folder(state_dir, trial),
                    digest=trial_digest(trial, group),
                    group_digest=group,
                    patience=job.distillation.patience if job.distillation else None,
                    settings=_settings(job, task_id),
                )
    return plan


def group_digest(
    job: ShardJob, task_id: str, weights_digest: str, encoded: Path, objective_digest: str
) -> str:
    """Digest of everything that the outcomes of a task's trials depend on, but for their point of the grid.

    Threads and device are left out on purpose: they may change the last bits, and a trial is not repeated for that.
    """
    info = read_encoded_info(encoded)
    task = job.tasks[task_id]
    return digest_value(
        {
            "task": task_id,
            "options": job.options_of(task_id).model_dump(mode="json"),
            "num_hidden_layers": job.num_hidden_layers,
            "initial_layers": job.initial_layers,
            "type": task.type,
            "labels": list(task.labels),
            "metric": task.metric,
            "distillation": job.distillation and job.distillation.model_dump(mode="json"),
            "weights": weights_digest,
            "data": {split: info["digests"][split] for split in ("train", "validation")},
            "objective": objective_digest,
            **({"early_exit": True} if job.early_exit else {}),
        }
    )


def trial_digest(trial: Trial, group: str) -> str:
    """Digest of everything that a trial's outcome depends on."""
    return digest_value([group, trial.model_dump(mode="json")])


def versions() -> dict[str, str]:
    """Of Python and of the libraries that training's last bits depend on."""
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "transformers")},
    }


def _settings(job: ShardJob, task_id: str) -> TrialSettings:
    settings = TrialSettings(
        options=job.options_of(task_id).model_dump(mode="json"),
        distillation=job.distillation.model_dump(mode="json") if job.distillation else None,
        num_hidden_layers=job.num_hidden_layers or job.architecture.num_hidden_layers,
        initial_layers=job.initial_layers,
    )
    if job.early_exit:
        settings["early_exit"] = True
    return settings
