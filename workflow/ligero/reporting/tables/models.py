"""Tables about the models before fine-tuning: what they are and how they were pretrained."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd

from ligero.common.names import plain
from ligero.efficiency.truncation import short_count, truncate
from ligero.reporting.frames import Cells, joined, table
from ligero.reporting.looks import LOOKS
from ligero.reporting.names import beside_the_thesis
from ligero.reporting.published import read_table
from ligero.reporting.results import Results
from ligero.settings import plan
from ligero.settings.models import Model
from ligero.settings.pretraining import Pretraining

SIZES = ("tiny", "base", "large", "xlarge", "xxlarge")
HOUR = 3600.0


def pretrained_models(results: Results) -> pd.DataFrame:
    """Every model of the study; at the thesis' scale also the models that the thesis surveyed and did not include."""
    rows: list[Cells] = [_model(results, model_id) for model_id in results.study.models]
    if results.study.scale == "thesis":
        rows += [
            {**row, "notes": "surveyed in the thesis, not part of its study"}
            for row in read_table("pretrained_models")
            if row["included"] == "no"
        ]
    columns = [
        "included",
        "model",
        "architecture",
        "size",
        "vocabulary",
        "vocabulary_types",
        "max_sequence_length",
        "parameters",
        "domain",
        "availability",
        "weights",
    ]
    return table(columns, rows, results.study.scale)


def _model(results: Results, model_id: str) -> Cells:
    model = results.study.models[model_id]
    reason = results.study.left_out.get(model_id)
    cost = results.efficiency.get(("fine-tuning", model_id))
    vocabulary = cost["vocabulary_size"] if cost else model.architecture.vocab_size
    return {
        "included": "no" if reason else "yes",
        "model": model.name,
        "architecture": LOOKS[model.architecture.type].name,
        "size": _size(model),
        "vocabulary": (size := _vocabulary(vocabulary)),
        "vocabulary_types": _letter_case(results, model),
        "max_sequence_length": model.architecture.max_position_embeddings,
        "parameters": short_count(cost["parameters"]) if cost else None,
        "domain": "General" if results.study.scale == "thesis" else None,
        "availability": {"pretrain": "Trained here", "hub": "Public", "local": "Local"}[model.weights],
        "weights": _weights(results, model_id),
        "notes": joined(
            [reason, _no_commit(results, model_id), _printed_otherwise(results, model.name, size)]
        ),
    }


def _size(model: Model) -> str:
    """The size in a model's name, or else the one that its width is known by (Devlin et al. 2019)."""
    named = next((size for size in SIZES if size in model.name.lower().split()), None)
    return named or {768: "base", 1024: "large"}.get(model.architecture.hidden_size, "-")


def _vocabulary(size: int | None) -> str | None:
    """Thousands as the thesis prints them; small vocabularies exactly."""
    return None if size is None else short_count(size) if size >= 10_000 else str(size)


def _letter_case(results: Results, model: Model) -> str | None:
    lower_case = results.study.tokenizers[model.tokenizer].lower_case if model.tokenizer else model.lower_case
    if lower_case is None:
        return next(
            (case for case in ("uncased", "cased") if model.hub and model.hub.id.endswith(f"-{case}")), None
        )
    return "uncased" if lower_case else "cased"


def _weights(results: Results, model_id: str) -> str | None:
    model = results.study.models[model_id]
    if model.weights == "hub" and model.hub:
        return f"{model.hub.id}@{model.hub.revision}" if model.hub.revision else model.hub.id
    return model.local if model.weights == "local" else f"tokenizer {model.tokenizer}"


def _no_commit(results: Results, model_id: str) -> str | None:
    hub = results.study.models[model_id].hub if results.study.models[model_id].weights == "hub" else None
    if hub is None or hub.revision:
        return None
    # Which one was taken is not said here: this table does not wait for downloads, so it could name an earlier one.
    return "no commit is pinned: the first download takes the newest, which sources.lock.json and the model cards name"


def _printed_otherwise(results: Results, name: str, vocabulary: str | None) -> str | None:
    """Where the thesis prints another size of a published vocabulary (BETO's 31,002 entries as 32K)."""
    if results.study.scale != "thesis":
        return None
    uncased = plain(name).removesuffix("uncased").removesuffix("cased")
    published = {plain(row["model"]): row["vocabulary"] for row in read_table("pretrained_models")}
    other = published.get(uncased, vocabulary)
    return f"the thesis prints a vocabulary of {other}" if other != vocabulary else None


def albeto_configurations(results: Results) -> pd.DataFrame:
    """Layers and widths of every ALBERT of the study."""
    rows = []
    for model_id, model in results.study.models.items():
        if (shape := model.architecture).type != "albert":
            continue
        cost = results.efficiency.get(("fine-tuning", model_id))
        rows.append(
            {
                "model": model.name,
                "parameters": short_count(cost["parameters"]) if cost else None,
                "layers": shape.num_hidden_layers,
                "hidden": shape.hidden_size,
                "embedding": shape.embedding_size or 128,  # transformers' AlbertConfig
                "heads": shape.num_attention_heads,
                "feed_forward": shape.intermediate_size,
                "exact_parameters": cost["parameters"] if cost else None,
                "notes": results.study.left_out.get(model_id),
            }
        )
    columns = [
        "model",
        "parameters",
        "layers",
        "hidden",
        "embedding",
        "heads",
        "feed_forward",
        "exact_parameters",
    ]
    return table(columns, rows, results.study.scale)


def pretraining_details(results: Results) -> pd.DataFrame:
    """Recipe of every model that is pretrained here, and what its training took and reached."""
    rows = [_pretraining(results, model_id) for model_id in plan.pretrained_models(results.study)]
    columns = [
        "model",
        "learning_rate",
        "batch_size",
        "warmup_ratio",
        "warmup_steps",
        "total_steps",
        "training_days_tpu_v3_8",
        "training_hours",
        "device",
        "tokens",
        "training_loss",
        "validation_mlm_loss",
        "unigram_loss",
        "validation_sop_accuracy",
        "validation_state_loss",
        "rollbacks",
    ]
    return table(columns, rows, results.study.scale)


def _pretraining(results: Results, model_id: str) -> Cells:
    model = results.study.models[model_id]
    recipe, done = model.pretraining, results.pretraining_summary(model_id)
    assert recipe
    validation, rollbacks = done.validation, done.rollbacks
    teacher = recipe.teacher.model if recipe.teacher else None
    return {
        "model": model.name,
        "learning_rate": recipe.learning_rate,
        "batch_size": recipe.batch_size,
        "warmup_ratio": _warmup_ratio(recipe),
        "warmup_steps": recipe.warmup_steps,
        "total_steps": recipe.total_steps,
        "training_hours": f"{done.seconds / HOUR:.3f}",
        "device": done.device,
        "tokens": done.tokens,
        "training_loss": _decimals(done.final.get("loss")),
        "validation_mlm_loss": _decimals(validation.get("mlm_loss")),
        "unigram_loss": _decimals(done.unigram_loss),
        "validation_sop_accuracy": _decimals(validation.get("sop_accuracy")),
        "validation_state_loss": _decimals(validation.get("state_loss")),
        "rollbacks": len(rollbacks),
        "notes": joined(
            [
                "not trained on a TPU v3-8, so no days are given for it"
                if beside_the_thesis(results.study)
                else None,
                f"learned from the hidden states of {results.study.models[teacher].name}"
                if teacher
                else None,
                f"{len(rollbacks)} restarts from an earlier checkpoint with a lower rate"
                if rollbacks
                else None,
            ]
        ),
    }


def _warmup_ratio(recipe: Pretraining) -> str:
    """The warm-up's share of the planned steps, which the thesis prints; not of those trained. Three digits, halves to even
    (1/320 is printed 3.12e-3)."""
    return f"{Decimal(recipe.warmup_steps) / recipe.decay_end:.2e}" if recipe.warmup_steps else "0"


def _decimals(value: float | None) -> str | None:
    return None if value is None else str(truncate(value, 4))
