"""The text of a model card: data, recipe, scores with intervals, size, speed, licence, limits. Needs no torch."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ligero.common.errors import DataError
from ligero.common.files import read_json
from ligero.efficiency.records import CountingConditions, Device, Latency, SystemCost, TimingConditions
from ligero.efficiency.truncation import truncate
from ligero.settings.jobs import SelectionJob
from ligero.settings.sources import Source
from ligero.training.records import ScoreRecord, SelectionRecord

PIPELINES = {
    "accuracy": "text-classification",
    "seqeval_f1": "token-classification",
    "token_accuracy": "token-classification",
    "squad_f1": "question-answering",
}
METRICS = {
    "accuracy": "accuracy",
    "seqeval_f1": "F1 over chunks (seqeval)",
    "token_accuracy": "token accuracy",
    "squad_f1": "F1 (SQuAD v1.1)",
}
USES = {
    "text-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "question-answering": "AutoModelForQuestionAnswering",
}
KEYS = {
    "text-classification": {"accuracy": "accuracy"},
    "token-classification": {
        "f1": "F1 over chunks (seqeval)",
        "precision": "precision over chunks",
        "recall": "recall over chunks",
        "accuracy": "token accuracy",
    },
    "question-answering": {
        "f1": "F1 (SQuAD v1.1)",
        "exact_match": "exact match (SQuAD v1.1)",
        "mlqa_f1": "F1 (MLQA's Spanish normalisation)",
        "mlqa_exact_match": "exact match (MLQA's Spanish normalisation)",
    },
}
"""A score file's metrics as a reader may know them."""


HUB_LICENCES = {
    "apache-2.0",
    "cc-by-4.0",
    "cc-by-nc-4.0",
    "cc-by-sa-3.0",
    "cc-by-sa-4.0",
    "cc0-1.0",
    "gpl-3.0",
    "mit",
}
"""Those of the hub's licence identifiers that the registry's licences can be."""


@dataclass(frozen=True)
class Checkpoint:
    """The weights that a model started from.

    Attributes:
        name: as a reader can find them.
        hub: their name on the hub, or empty.
        licences: theirs, or those of the corpus that they were pretrained on and of whose states they learned; empty texts are
            unknown licences.
    """

    name: str
    hub: str = ""
    licences: tuple[str, ...] = ("",)


@dataclass(frozen=True)
class Evidence:
    """What the study knows of a model beside its selection.

    Attributes:
        model: its name, task: its task's.
        study: name and scale of the study, as a clause.
        sources: the task's files by their ids, for their licences and citations.
        checkpoint: where the weights started; teachers: where those of the teachers did whose logits they learned from.
        language: ISO 639 code of the language that the corpus is filtered by, or empty.
        recipe: rows of the recipe's table beside the trial's: where the weights started, the teacher, the loss.
        score: the entry of the score file.
        speed: devices by name to their latency (`median_seconds`, `inferences_per_second`).
        conditions: of that measurement.
        cost: the entry of the efficiency file, for `macs`.
        cost_conditions: of that count.
    """

    model: str
    task: str
    study: str
    sources: Mapping[str, Source]
    checkpoint: Checkpoint
    teachers: tuple[Checkpoint, ...]
    language: str
    recipe: Mapping[str, str]
    score: ScoreRecord
    speed: Mapping[Device, Latency]
    conditions: TimingConditions
    cost: SystemCost
    cost_conditions: CountingConditions


def model_card(job: SelectionJob, selection: SelectionRecord, folder: Path, known: Evidence) -> str:
    """Markdown with the front matter of the hub.

    Args:
        selection: its record: the chosen trial, and the figures of all.
        folder: the model's files, for its size and label names.

    Raises:
        DataError: the model's weights are damaged.
    """
    pipeline = PIPELINES[job.metric]
    config = read_json(folder / "config.json")
    lines = [
        "---",
        "library_name: transformers",
        f"pipeline_tag: {pipeline}",
        f"tags: [ligero, {job.regime}, {config.get('model_type', 'transformer')}]",
        *_front_matter(known),
        "---",
        f"# {known.model} on {known.task} ({job.regime})",
        "",
        f"Made by the pipeline Ligero{known.study}. Opens with `{USES[pipeline]}.from_pretrained(FOLDER)`.",
        "",
        *_data(job, known),
        *_recipe(job, selection, known.recipe),
        *_scores(job, selection, pipeline, known.score),
        *_size_and_speed(folder, known),
        *_labels(config, pipeline),
        *_limits(known),
    ]
    return "\n".join(lines)


def _front_matter(known: Evidence) -> list[str]:
    """Licence, language and base model under the hub's keys; what is not known has no key."""
    lines = [f"language: {known.language}"] if known.language else []
    texts = {source.licence for source in known.sources.values()}
    texts.update(*(one.licences for one in (known.checkpoint, *known.teachers)))
    names = {"-".join(text.lower().split()) for text in texts}
    # One licence over everything that the weights derive from can be named; of several, or an unknown one, a reader must judge.
    if len(names) == 1 and names <= HUB_LICENCES:
        lines.append(f"license: {names.pop()}")
    else:
        lines += ["license: other", "license_name: see-licence-and-limits"]
    return lines + ([f"base_model: {known.checkpoint.hub}"] if known.checkpoint.hub else [])


def _data(job: SelectionJob, known: Evidence) -> list[str]:
    """A row per file of the task; unknown licences and citations are said to be unknown."""
    rows = [
        f"| {name} | {_cell(source.licence) or 'not known'} | {_cell(source.citation) or 'not known'} |"
        for name, source in known.sources.items()
    ]
    return [
        "## Data",
        "",
        f"Task `{job.task_id}` ({known.task}). Trained on its training split, selected on its validation split; the "
        f"test split was used for the scores below only. The study's `tasks/{job.task_id}/info.json` has the files' checksums.",
        "",
        "| file | licence | citation |",
        "|---|---|---|",
        *rows,
        "",
    ]


def _recipe(job: SelectionJob, selection: SelectionRecord, more: Mapping[str, str]) -> list[str]:
    trial, point = selection["trial"], selection["best"]
    micro, seconds = selection["micro_batch_size"], selection["seconds_of_best"]
    rows = {
        **more,
        "learning rate": f"{trial['learning_rate']}, linear decay",
        "effective batch size": f"{trial['batch_size']} (micro batch {micro})",
        "epochs": f"{trial['epochs']} (best weights of epoch {point['epoch']}, step {point['step']})",
        "seed": str(trial["seed"]),
        "device": selection["device"],
        "training time": f"{seconds:.1f} s",
        "the whole grid's training time": f"{selection['seconds']:.1f} s",
    }
    return [
        "## Recipe",
        "",
        f"System `{job.model_id}`; best of {len(selection['candidates'])} trials by validation {job.selection_metric}.",
        "",
        "| setting | value |",
        "|---|---|",
        *(f"| {name} | {_cell(value)} |" for name, value in rows.items()),
        "",
    ]


def _scores(job: SelectionJob, selection: SelectionRecord, pipeline: str, score: ScoreRecord) -> list[str]:
    point = selection["best"]
    known = "" if point["score"] is None else f"; {METRICS[job.metric]} {truncate(point['score'])} %"
    validation = f"On validation: cross entropy {point['loss']:.4f}{known}."
    rows = []
    for key, name in KEYS[pipeline].items():
        if key in score["metrics"]:
            low, high = score["intervals"].get(key, (math.nan, math.nan))
            rows.append(
                f"| {name} | {truncate(score['metrics'][key])} | {truncate(low)} to {truncate(high)} |"
            )
    return [
        "## Scores",
        "",
        f"On the {score['examples']:,} examples of the test split, in percent:",
        "",
        "| metric | test | 95 % interval (bootstrap over examples) |",
        "|---|---|---|",
        *rows,
        "",
        validation,
        "",
    ]


def _size_and_speed(folder: Path, known: Evidence) -> list[str]:
    weights = sorted(folder.glob("*.safetensors"))
    size = sum(path.stat().st_size for path in weights)
    cost, counted, timing = known.cost, known.cost_conditions, known.conditions
    rows = [
        f"| {_cell(_device(device, timing))} | {truncate(1000 * timed['median_seconds'], 3)} ms | {truncate(timed['inferences_per_second'])} |"
        for device, timed in known.speed.items()
    ]
    return [
        "## Size and speed",
        "",
        f"{sum(map(parameters_in, weights)):,} parameters; {size:,} bytes of weights (safetensors).",
        "",
        f"{cost['macs']:,} multiply-accumulate operations per forward pass at {counted['sequence_length']} tokens, counted as in the "
        f"thesis (without attention's products); exact speedup {truncate(cost['speedup'])} over `{counted['reference']}`.",
        "",
        "| device | median latency | inferences per second |",
        "|---|---|---|",
        *rows,
        "",
        f"Measured at batch 1 and {timing['sequence_length']} tokens with {timing['engine']} on {timing['date']}, as a sequence "
        "classifier of this architecture.",
        "",
    ]


def _device(device: Device, conditions: TimingConditions) -> str:
    if device == "cpu":
        threads = conditions["cpu_threads"]
        return f"{conditions['cpu']}, {threads} thread{'s' if threads > 1 else ''}"
    return conditions["gpu"] or device


def parameters_in(path: Path) -> int:
    """Number of the values in a safetensors file, from its header.

    Raises:
        DataError: not a safetensors file.
    """
    try:
        with path.open("rb") as handle:
            (length,) = struct.unpack("<Q", handle.read(8))
            header = json.loads(handle.read(length))
        return sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")
    except (
        struct.error,
        ValueError,
        KeyError,
        AttributeError,
        TypeError,
        OverflowError,
        MemoryError,
    ) as error:
        raise DataError(
            path, None, f"not a safetensors file: {error}.", "Run the trial's shard again."
        ) from error


def _labels(config: Mapping[str, Any], pipeline: str) -> list[str]:
    labels = config.get("id2label") if pipeline != "question-answering" else None
    return ["Labels: " + ", ".join(f"`{name}`" for name in labels.values()) + ".", ""] if labels else []


def _limits(known: Evidence) -> list[str]:
    licences = [
        f"Licence of {one.name}: {'; '.join(dict.fromkeys(text or 'not known' for text in one.licences))}."
        for one in dict.fromkeys((known.checkpoint, *known.teachers))
    ]
    return [
        "## Licence and limits",
        "",
        "\n\n".join(licences),
        "",
        "The weights derive from the data above, from the corpus (or the published checkpoint) that the encoder was "
        "pretrained on, and from the teachers, if any; their licences apply. Measured on this task's test split only: other domains, other "
        "varieties of the language and inputs longer than those of training may give much worse results, and biases of "
        "the data are not corrected.",
        "",
    ]


def _cell(text: str) -> str:
    """A text that cannot break its table."""
    return " ".join(text.split()).replace("|", "\\|")
