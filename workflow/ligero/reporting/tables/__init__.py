"""One file a family of tables; `make(name, results)` finds the one by its name."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from ligero.common.errors import ConfigurationError
from ligero.reporting.results import Results
from ligero.reporting.tables.ablation import ablation
from ligero.reporting.tables.comparison import comparison
from ligero.reporting.tables.corpus import corpus
from ligero.reporting.tables.cost import cost
from ligero.reporting.tables.datasets import datasets
from ligero.reporting.tables.efficiency import efficiency, inference_speed
from ligero.reporting.tables.models import albeto_configurations, pretrained_models, pretraining_details
from ligero.reporting.tables.scores import question_answering, sequence_tagging, text_classification
from ligero.reporting.tables.selection import best_hyperparameters, teachers
from ligero.reporting.tables.summary import summary
from ligero.reporting.tables.tokenizers import tokenizers

TABLES: dict[str, Callable[[Results], pd.DataFrame]] = {
    "corpus": corpus,
    "tokenizers": tokenizers,
    "datasets": datasets,
    "pretrained_models": pretrained_models,
    "albeto_configurations": albeto_configurations,
    "pretraining_details": pretraining_details,
    "text_classification": text_classification,
    "sequence_tagging": sequence_tagging,
    "question_answering": question_answering,
    "efficiency": efficiency,
    "inference_speed": inference_speed,
    "teachers": teachers,
    "best_hyperparameters": best_hyperparameters,
    "comparison": comparison,
    "ablation": ablation,
    "cost": cost,
    "summary": summary,
}


def make(name: str, results: Results) -> pd.DataFrame:
    """The table of that name.

    Raises:
        ConfigurationError: no such table.
    """
    if name not in TABLES:
        raise ConfigurationError(f"no table '{name}'; known: {', '.join(TABLES)}")
    return TABLES[name](results)
