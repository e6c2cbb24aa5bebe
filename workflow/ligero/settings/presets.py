"""The two protocols: what the authors did, and what we would do. Each difference is an ordinary option."""

from __future__ import annotations

from typing import Any

# FACTS.md, "Fine-tuning" and "Distillation": LW is the authors' fine-tuning code, SG their distillation code.
PROTOCOLS: dict[str, dict[str, dict[str, Any]]] = {
    "thesis": {
        "fine_tuning": {
            "weight_decay": 0.0,
            "max_grad_norm": 1.0,
            "shuffle": True,
            "bucket_by_length": False,
            "label_subwords": "all",
        },
        "distillation": {
            "weight_decay": 0.01,
            "decay_all_parameters": True,
            "max_grad_norm": None,
            "shuffle": False,
            "bucket_by_length": False,
            "label_subwords": "first",
            "max_words": 128,
        },
    },
    "recommended": {
        "fine_tuning": {
            "weight_decay": 0.01,
            "decay_all_parameters": False,
            "warmup_ratio": 0.1,
            "max_grad_norm": 1.0,
            "shuffle": True,
            "bucket_by_length": True,
            "label_subwords": "first",
        },
        "distillation": {
            "weight_decay": 0.01,
            "decay_all_parameters": False,
            "warmup_ratio": 0.1,
            "max_grad_norm": 1.0,
            "shuffle": True,
            "bucket_by_length": True,
            "label_subwords": "first",
        },
    },
}


def with_preset(config: dict[str, Any]) -> dict[str, Any]:
    """The raw configuration with its protocol's options filled in below those that it gives itself."""
    protocol = config.get("protocol", "thesis")
    # What is no name is left for the checks to refuse.
    preset = PROTOCOLS.get(protocol, {}) if isinstance(protocol, str) else {}
    filled = dict(config)
    for stage, options in preset.items():
        section = config.get(stage)
        if isinstance(section, dict) and isinstance(section.get("options", {}), dict):
            filled[stage] = {**section, "options": {**options, **section.get("options", {})}}
    return filled
