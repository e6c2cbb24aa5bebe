"""What a short configuration leaves out and another of its keys already says, filled in before it is checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ligero.common.errors import ConfigurationError
from ligero.common.files import read_json
from ligero.settings.tasks import TYPE_OF_READER

FILLED = {
    "Study": {"efficiency": "reference: the first model"},
    "Efficiency": {"reference": "the first model"},
    "Model": {
        "name": "its id",
        "weights": "by which of `hub`, `local` and `pretraining` is there",
        "architecture": "that of the checkpoint, for a `local` folder and for models of the registry",
    },
    "Task": {
        "name": "its id",
        "type": "what `reader` yields",
        "metric": "accuracy, seqeval_f1 or squad_f1, by type",
    },
    "Student": {"name": "its id", "initial": "the model of the same id"},
}
"""Name of a settings class to its keys that may be left out, and what each then is."""

METRICS = {
    "sequence_classification": "accuracy",
    "token_classification": "seqeval_f1",
    "question_answering": "squad_f1",
}
"""Task type to the metric that its tables show first."""

_CHECKPOINT_KEYS = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "embedding_size",
    "max_position_embeddings",
    "type_vocab_size",
)
_DISTILBERT_KEYS = {
    "dim": "hidden_size",
    "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads",
    "hidden_dim": "intermediate_size",
}


def with_defaults(config: Mapping[str, object]) -> dict[str, object]:
    """The raw configuration with what FILLED lists; whatever it gives itself wins, and malformed parts are left for the checks.

    Raises:
        ConfigurationError: the architecture of a local folder is wanted, and the folder says none.
    """
    filled = dict(config)
    if isinstance(models := config.get("models"), dict):
        filled["models"] = {key: _model(key, model) for key, model in models.items()}
        efficiency = config.get("efficiency", {})
        if models and isinstance(efficiency, dict):
            filled["efficiency"] = {"reference": next(iter(models)), **efficiency}
    if isinstance(tasks := config.get("tasks"), dict):
        filled["tasks"] = {key: task_with_defaults(key, task) for key, task in tasks.items()}
    distillation = config.get("distillation")
    if isinstance(distillation, dict) and isinstance(students := distillation.get("students"), dict):
        named = {key: _student(key, student) for key, student in students.items()}
        filled["distillation"] = {**distillation, "students": named}
    return filled


def _model(model_id: Any, model: Any) -> Any:
    if not isinstance(model, dict):
        return model
    weights = next(
        (
            kind
            for key, kind in (("hub", "hub"), ("local", "local"), ("pretraining", "pretrain"))
            if key in model
        ),
        None,
    )
    filled = {"name": str(model_id), **({"weights": weights} if weights else {}), **model}
    if (
        filled.get("weights") == "local"
        and "architecture" not in model
        and isinstance(model.get("local"), str)
    ):
        filled["architecture"] = checkpoint_architecture(Path(model["local"]), f"models.{model_id}")
    return filled


def checkpoint_architecture(folder: Path, key: str) -> dict[str, Any]:
    """The architecture that a checkpoint's config.json states, as the settings `models.ID.architecture`.

    Raises:
        ConfigurationError: there is no such file, or it lacks one of the numbers; the message begins with `key`.
    """
    path = folder.expanduser() / "config.json"
    if not path.is_file():
        raise ConfigurationError(
            f"{key}.local: {path} is not there; build or name the folder, or write {key}.architecture"
        )
    found = read_json(path)
    named = {_DISTILBERT_KEYS.get(name, name): value for name, value in found.items()}
    # BERT's configurations write ALBERT's embedding_size nowhere, but a converted one may.
    wanted = [
        name for name in _CHECKPOINT_KEYS if name != "embedding_size" or named.get("model_type") == "albert"
    ]
    architecture = {name: named[name] for name in wanted if name in named}
    missing = {
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
    } - architecture.keys()
    if missing or "model_type" not in named:
        lacking = ", ".join(sorted(missing) or ["model_type"])
        raise ConfigurationError(f"{key}.local: {path} has no {lacking}; write {key}.architecture yourself")
    return {"type": named["model_type"], **architecture}


def task_with_defaults(task_id: Any, task: Any) -> Any:
    """The raw settings of one task, likewise."""
    if not isinstance(task, dict):
        return task
    reader = task.get("reader")
    kind = task.get("type", TYPE_OF_READER.get(reader) if isinstance(reader, str) else None)
    filled = {"name": str(task_id), **({"type": kind} if kind else {})}
    if isinstance(kind, str) and kind in METRICS:
        filled["metric"] = METRICS[kind]
    return {**filled, **task}


def _student(student_id: Any, student: Any) -> Any:
    if not isinstance(student, Mapping):
        return student
    return {"name": str(student_id), "initial": student_id, **student}
