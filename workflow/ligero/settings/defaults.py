"""What a configuration may leave out: what another of its keys already says, and the options of its protocol."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NotRequired, TypedDict

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

    Args:
        key: `models.ID`, whose architecture may be written instead, or an option of a command.

    Raises:
        ConfigurationError: there is no such file, or it lacks one of the numbers; the message begins with `key`.
    """
    path = folder.expanduser() / "config.json"
    place, instead = (key, "") if key.startswith("--") else (f"{key}.local", f", or write {key}.architecture")
    if not path.is_file():
        raise ConfigurationError(f"{place}: {path} is not there; build or name the folder{instead}")
    found = read_json(path)
    if not isinstance(found, dict):
        raise ConfigurationError(f"{place}: {path} is no JSON object; expected the configuration of a model")
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
        raise ConfigurationError(f"{place}: {path} has no {lacking}; name another folder{instead}")
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


class StagePreset(TypedDict):
    """What a protocol sets of `fine_tuning` or `distillation`."""

    options: dict[str, str | float | None]
    """Keys of TrainingOptions."""
    logits_precision: NotRequired[str]


# LW is the authors' fine-tuning code, SG their distillation code.
PROTOCOLS: dict[str, dict[str, StagePreset]] = {
    "thesis": {
        "fine_tuning": {
            "options": {
                "weight_decay": 0.0,
                "max_grad_norm": 1.0,
                "shuffle": True,
                "bucket_by_length": False,
                "label_subwords": "all",
            },
        },
        "distillation": {
            "logits_precision": "fp32",
            "options": {
                "weight_decay": 0.01,
                "decay_all_parameters": True,
                "max_grad_norm": None,
                "shuffle": False,
                "bucket_by_length": False,
                "label_subwords": "first",
                "max_words": 128,
            },
        },
    },
    "recommended": {
        stage: {
            "options": {
                "weight_decay": 0.01,
                "decay_all_parameters": False,
                "warmup_ratio": 0.1,
                "max_grad_norm": 1.0,
                "shuffle": True,
                "bucket_by_length": True,
                "label_subwords": "first",
                "precision": "auto",
            },
        }
        for stage in ("fine_tuning", "distillation")
    },
}
SELECTED_BY_SCORE = {"thesis": ("fine_tuning", "question_answering")}
"""Protocol to the stage and task type whose trials are picked by their score (LW: F1 of question answering)."""


def with_preset(config: Mapping[str, object]) -> dict[str, object]:
    """The raw configuration with its protocol's settings filled in below those that it gives itself."""
    protocol = config.get("protocol", "recommended")
    filled = dict(config)
    # What is no name, section or mapping is left for the checks to refuse.
    if not isinstance(protocol, str):
        return filled
    for stage, settings in PROTOCOLS.get(protocol, {}).items():
        section = config.get(stage, {} if stage == "fine_tuning" else None)
        if isinstance(section, dict) and isinstance(section.get("options", {}), dict):
            own = section.get("options", {})
            options = {**settings["options"], **own}
            selection = _selected_by_score(config, own, protocol, stage)
            filled[stage] = {**selection, **settings, **section, "options": options}
    return filled


def _selected_by_score(
    config: Mapping[str, object], options: Mapping[str, object], protocol: str, stage: str
) -> dict[str, dict[str, str]]:
    """`selection` of a stage as the protocol has it, unless the study says itself what picks its trials."""
    chosen_stage, task_type = SELECTED_BY_SCORE.get(protocol, ("", ""))
    tasks = config.get("tasks")
    if stage != chosen_stage or "selection_metric" in options or not isinstance(tasks, dict):
        return {}
    chosen = [
        name for name, task in tasks.items() if isinstance(task, dict) and task.get("type") == task_type
    ]
    return {"selection": dict.fromkeys(chosen, "score")} if chosen else {}
