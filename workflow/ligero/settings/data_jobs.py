"""What jobs on the tasks' data depend on: the baselines' settings, and folders of the user's own that no source names."""

from __future__ import annotations

from pathlib import Path

from ligero.common.hashing import fingerprint_files
from ligero.settings import jobs
from ligero.settings.base import Identifier, Settings
from ligero.settings.study import Study
from ligero.settings.tasks import Task


class BaselineJob(Settings):
    """Scoring what needs no model."""

    task_id: Identifier
    task: Task
    """Without what only reading or encoding depends on."""
    seed: int
    """Of the intervals' bootstrap."""


def baseline_job(study: Study, task_id: str) -> BaselineJob:
    task = jobs.training_view(study.tasks[task_id])
    return BaselineJob(
        task_id=task_id,
        task=task.model_copy(update={"max_length": None}),
        seed=study.fine_tuning.options.seed,
    )


def documents_fingerprint(study: Study, task_id: str) -> str:
    """Fingerprint of a task's own folder of documents (`rcv_dir`); empty where it has none.

    Tens of thousands of small files would be too many inputs for the workflow, so names, sizes and times stand for them.
    """
    folder = study.tasks[task_id].rcv_dir
    return fingerprint_files(Path(folder).expanduser(), "*.xml") if folder else ""


def local_files(study: Study, model_id: str) -> list[str]:
    """The files of a model's local folder, which are inputs of the rule that copies and checks it."""
    local = study.models[model_id].local if study.models[model_id].weights == "local" else None
    if not local:
        return []
    files = (path for path in Path(local).expanduser().glob("*") if path.is_file())
    return sorted(str(path) for path in files if not path.name.startswith("."))
