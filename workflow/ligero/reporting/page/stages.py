"""The stages of the workflow and what their jobs took, by the measurements that Snakemake's `benchmark` leaves beside the results."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from ligero.common.errors import DataError
from ligero.common.text import read_text
from ligero.reporting.page.records import StageEntry
from ligero.reporting.results import Results
from ligero.settings import plan
from ligero.settings.study import Study


@dataclass(frozen=True)
class Stage:
    """A step on the way from sources to tables.

    Attributes:
        rules: whose jobs are measured; empty where they take a second or two and are not.
    """

    name: str
    does: str
    rules: tuple[str, ...] = ()


def stages_of(study: Study) -> list[Stage]:
    """The stages that a study has, in the order in which data flows."""
    pretrains, distils = bool(plan.pretrained_models(study)), study.distillation is not None
    generates = any(study.sources[source].generated for source in plan.wanted_sources(study))
    found = [
        (generates, Stage("Generated data", "makes up the corpus and the tasks", ("generate_study",))),
        (study.reads_corpus, Stage("Corpus", "cleans the running text", ("clean_corpus",))),
        (bool(study.tokenizers), Stage("Vocabularies", "learns and measures them, encodes the corpus", ("train_tokenizer", "encode_corpus", "measure_tokenizers"))),
        (pretrains, Stage("Pretraining", "fills in masked words", ("cache_states", "pretrain_model"))),
        (True, Stage("Fine-tuning", "learns each task from its labels", ("finetune_model",))),
        (distils, Stage("Teachers’ logits", "stores what each task’s best model answers", ("cache_logits", "cache_all_logits", "augment_task", "cache_augmented_logits"))),
        (distils, Stage("Distillation", "trains students on these answers", ("distill_student",))),
        (study.ablation is not None, Stage("Ablation", "trains one student in several ways", ("train_method",))),
        (True, Stage("Scoring", "reads the test sets, once", ("score_systems",))),
        (True, Stage("Size and speed", "counts operations, takes times")),
        (True, Stage("Tables and figures", "this page among them")),
    ]  # fmt: skip
    return [stage for wanted, stage in found if wanted]


def measured_stages(results: Results) -> list[StageEntry]:
    """The stages with their jobs' number, seconds and memory."""
    return [_measured(stage, Path(results.layout.job_benchmarks)) for stage in stages_of(results.study)]


def _measured(stage: Stage, folder: Path) -> StageEntry:
    jobs = [row for rule in stage.rules for path in _files(folder, rule) for row in _rows(path)]
    seconds = [time for row in jobs if (time := _number(row.get("s"))) is not None]
    memory = [found for row in jobs if (found := _number(row.get("max_rss"))) is not None]
    return {
        "name": stage.name,
        "does": stage.does,
        "jobs": len(seconds) or None,
        "seconds": round(sum(seconds), 2) if seconds else None,
        "longest": max(seconds, default=None),
        "peak_megabytes": max(memory, default=None),
    }


def _files(folder: Path, rule: str) -> list[Path]:
    """The measurements of a rule's jobs: one file, or a folder of them."""
    return sorted([*folder.glob(f"{rule}.tsv"), *folder.glob(f"{rule}/**/*.tsv")])


def _rows(path: Path) -> list[dict[str, str]]:
    """The lines of a file of Snakemake's, which has no digest.

    Raises:
        DataError: it is cut short.
    """
    text = read_text(path)
    rows = list(csv.reader(text.splitlines(), delimiter="\t"))
    if not text.endswith("\n") or any(len(row) != len(rows[0]) for row in rows):
        remedy = "Delete it; the page then counts the time of one job less."
        raise DataError(path, None, "it was cut short: a line lacks cells or its end.", remedy)
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def _number(text: str | None) -> float | None:
    """A figure; Snakemake writes `-` or NA where it has none."""
    try:
        return float(text or "")
    except ValueError:
        return None
