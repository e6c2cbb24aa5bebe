"""The two protocols: what the authors did, and what we would do. Each difference is an ordinary option."""

from __future__ import annotations

from typing import Any

# FACTS.md, "Fine-tuning" and "Distillation": LW is the authors' fine-tuning code, SG their distillation code.
PROTOCOLS: dict[str, dict[str, dict[str, Any]]] = {
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


def with_preset(config: dict[str, Any]) -> dict[str, Any]:
    """The raw configuration with its protocol's settings filled in below those that it gives itself."""
    protocol = config.get("protocol", "recommended")
    # What is no name, section or mapping is left for the checks to refuse.
    preset = PROTOCOLS.get(protocol, {}) if isinstance(protocol, str) else {}
    filled = dict(config)
    for stage, settings in preset.items():
        section = config.get(stage, {} if stage == "fine_tuning" else None)
        if isinstance(section, dict) and isinstance(section.get("options", {}), dict):
            options = {**settings["options"], **section.get("options", {})}
            filled[stage] = {**_selection(config, protocol, stage), **settings, **section, "options": options}
    return filled


def _selection(config: dict[str, Any], protocol: str, stage: str) -> dict[str, Any]:
    """`selection` of a stage as the protocol has it, unless the study says itself what picks its trials."""
    chosen_stage, task_type = SELECTED_BY_SCORE.get(protocol, ("", ""))
    tasks = config.get("tasks")
    if (
        stage != chosen_stage
        or "selection_metric" in config[stage].get("options", {})
        or not isinstance(tasks, dict)
    ):
        return {}
    chosen = [
        name for name, task in tasks.items() if isinstance(task, dict) and task.get("type") == task_type
    ]
    return {"selection": dict.fromkeys(chosen, "score")} if chosen else {}
