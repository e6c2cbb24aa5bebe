"""What a trial's result depends on, and where finished results are found again. Needs no torch."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ligero.common.hashing import digest_value
from ligero.common.records import read_record, write_record
from ligero.settings.jobs import ShardJob
from ligero.settings.plan import Trial


def write_shard(path: Path, results: list[dict[str, Any]]) -> None:
    """Write `R/trials/REGIME/MODEL/shard-N.json`; the settings, which a task's trials share, stand there once a task."""
    settings = {
        result["trial"]["task"]: result["settings"]
        for result in results
        if "settings" in result  # trials of earlier versions have none
    }
    trials = [{key: value for key, value in result.items() if key != "settings"} for result in results]
    write_record(path, {"settings": settings, "trials": trials})


def settings_of(job: ShardJob, task_id: str) -> dict[str, Any]:
    """What the trials of a task were told, for readers; their identity is `family_of`."""
    return {
        "options": job.options_of(task_id).model_dump(mode="json"),
        "distillation": job.distillation and job.distillation.model_dump(mode="json"),
        "num_hidden_layers": job.num_hidden_layers or job.model.architecture.num_hidden_layers,
        "initial_layers": job.initial_layers,
    }


def versions() -> dict[str, str]:
    """Of Python and of the libraries that training's last bits depend on."""
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "transformers")},
    }


def family_of(job: ShardJob, task_id: str, weights_digest: str, encoded: Path, objective: Any) -> str:
    """Digest of everything that the results of a task's trials depend on, but for their point of the grid.

    Threads and device are left out on purpose: they may change the last bits, and a trial is not repeated for that.
    """
    info = read_record(encoded / "info.json")
    task = job.tasks[task_id]
    depends_on = {
        "task": task_id,
        "options": job.options_of(task_id).model_dump(mode="json"),
        "num_hidden_layers": job.num_hidden_layers,
        "type": task.type,
        "labels": list(task.labels),
        "metric": task.metric,
        "distillation": job.distillation and job.distillation.model_dump(mode="json"),
        "weights": weights_digest,
        "data": {split: info["digests"][split] for split in ("train", "validation")},
        "objective": objective,
    }
    if job.initial_layers != "spread":  # named only where chosen, so that earlier results stay valid
        depends_on["initial_layers"] = job.initial_layers
    return digest_value(depends_on)


def identity_of(trial: Trial, family: str) -> str:
    """Digest of everything that a trial's result depends on."""
    return digest_value([family, trial.model_dump(mode="json")])


def finished_result(folder: Path, determined_by: str) -> dict[str, Any] | None:
    """The result of a trial that is done and still valid, or None."""
    path = folder / "result.json"
    if not path.is_file():
        return None
    result: dict[str, Any] = read_record(path)
    return result if result.get("determined_by") == determined_by else None
