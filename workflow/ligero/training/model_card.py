"""The README of a selected model: what it is, how it was made, how good it was on validation, what not to expect."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ligero.settings.jobs import SelectionJob
from ligero.settings.sources import Source

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


def model_card(
    job: SelectionJob,
    results: Sequence[dict[str, Any]],
    best: dict[str, Any],
    folder: Path,
    sources: Mapping[str, Source] | None = None,
) -> str:
    """Markdown with the front matter of the hub.

    Args:
        results: all trials of the grid.
        best: the chosen one.
        folder: the model's files, for its size and label names.
        sources: the task's files by their ids, for their licences and citations.
    """
    pipeline = PIPELINES[job.metric]
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    labels = config.get("id2label") if pipeline != "question-answering" else None
    trial, point = best["trial"], best["best"]
    lines = [
        "---",
        "library_name: transformers",
        f"pipeline_tag: {pipeline}",
        f"tags: [ligero, {job.regime}, {config.get('model_type', 'transformer')}]",
        "---",
        f"# {job.model_name} on {job.task_name} ({job.regime})",
        "",
        f"Made by the pipeline Ligero. Opens with `{USES[pipeline]}.from_pretrained(FOLDER)`.",
        "",
        "## Data",
        "",
        f"Task `{job.task_id}` ({job.task_name}). Trained on its training split, chosen on its validation split; the "
        f"test split was not seen. The study's `tasks/{job.task_id}/info.json` has the files' checksums.",
        "",
        *_data_table(sources or {}),
        "## Recipe",
        "",
        f"System `{job.model_id}`; best of {len(results)} trials by validation {job.selection_metric}.",
        "",
        "| setting | value |",
        "|---|---|",
        f"| learning rate | {trial['learning_rate']}, linear decay |",
        f"| effective batch size | {trial['batch_size']} (micro batch {best['micro_batch_size']}) |",
        f"| epochs | {trial['epochs']} (best weights of epoch {point['epoch']}, step {point['step']}) |",
        f"| seed | {trial['seed']} |",
        f"| device | {best['device']} |",
        f"| training time | {best['seconds']:.1f} s |",
        "",
        "## Validation figures",
        "",
        f"Cross entropy {point['loss']:.4f}; {METRICS[job.metric]} {point['score']:.2f} %. Test figures with confidence "
        f"intervals stand in the study's `scores/{job.regime}/{job.model_id}/`.",
        "",
        "## Size",
        "",
        f"{size:,} bytes of weights (safetensors).",
        "",
    ]
    if labels:
        lines += ["Labels: " + ", ".join(f"`{name}`" for name in labels.values()) + ".", ""]
    lines += [
        "## Licence and limits",
        "",
        "The weights derive from the data above and from the corpus (or the published checkpoint) that the encoder was "
        "pretrained on; their licences apply. Measured on this task's validation split only: other domains, other "
        "varieties of the language and inputs longer than those of training may give much worse results, and biases of "
        "the data are not corrected.",
        "",
    ]
    return "\n".join(lines)


def _data_table(sources: Mapping[str, Source]) -> list[str]:
    """One row a file of the task; what the configuration does not know is said to be unknown."""
    if not sources:
        return []
    rows = [
        f"| {name} | {_cell(source.licence) or 'not known'} | {_cell(source.citation) or 'not known'} |"
        for name, source in sources.items()
    ]
    return ["| file | licence | citation |", "|---|---|---|", *rows, ""]


def _cell(text: str) -> str:
    """A text that cannot break its table."""
    return " ".join(text.split()).replace("|", "\\|")
