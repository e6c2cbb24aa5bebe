"""The two protocols: what the authors did, and what we would do. Each difference is an ordinary option."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NotRequired, TypedDict


class StagePreset(TypedDict):
    """What a protocol sets of `fine_tuning` or `distillation`."""

    options: dict[str, str | float | None]
    """Keys of TrainingOptions."""
    logits_precision: NotRequired[str]


# FACTS.md, "Fine-tuning" and "Distillation": LW is the authors' fine-tuning code, SG their distillation code.
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
            selection = _selection(config, own, protocol, stage)
            filled[stage] = {**selection, **settings, **section, "options": options}
    return filled


def _selection(
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
