"""Measure how every tokenizer of the study fits the held-out corpus and the test split of each task."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.corpus.reading import read_documents
from ligero.corpus.statistics import check_cleaned
from ligero.settings.jobs import tokenizers_job
from ligero.settings.layout import Layout
from ligero.settings.program import check_digest, load_resolved, measuring_arguments
from ligero.tasks.texts import split_texts
from ligero.tokenizers.fast_tokenizer import FastTokenizer
from ligero.tokenizers.quality import QualityRecord, QualityRow, WordCounts, tokenizer_quality

MOST_LINES = 100_000
"""Lines of the held-out corpus that are read."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    measuring_arguments(parser)
    args = parser.parse_args()
    study = load_resolved(args.config)
    job = tokenizers_job(study)
    check_digest(job, args.expect)
    root = args.results or Path(study.results_dir)
    layout = Layout(study.model_copy(update={"results_dir": str(root)}))

    texts: dict[str | None, WordCounts] = {}
    if job.held_out:
        held_out = root / "corpus" / "clean" / "validation.txt.zst"
        check_cleaned(held_out)
        documents = read_documents(held_out)
        lines = (line for document in documents for line in document)
        texts[None] = WordCounts.of(islice(lines, MOST_LINES))
    for task in job.tasks:
        texts[task] = WordCounts.of(split_texts(root / "tasks" / task / "test.parquet"))
    rows: list[QualityRow] = []
    for name in job.tokenizers:
        tokenizer = FastTokenizer.load(layout.tokenizer(name))
        for text, counts in texts.items():
            quality = asdict(tokenizer_quality(tokenizer, counts))
            rows.append(
                QualityRow(
                    **quality,
                    tokenizer=name,
                    kind=tokenizer.info.kind,
                    size=tokenizer.vocabulary_size,
                    task=text,
                )
            )
    QualityRecord(MOST_LINES, rows).write(args.out)


if __name__ == "__main__":
    run_program(main)
