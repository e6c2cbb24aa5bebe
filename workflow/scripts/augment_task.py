"""Add unlabelled examples to a task's training examples: sentences of the corpus, or new pairs of the task's texts."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.corpus.statistics import check_cleaned
from ligero.settings.jobs import augmentation_job
from ligero.settings.program import check_digest, job_arguments, load_resolved
from ligero.tasks.augmentation import augment_task


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    job_arguments(parser)
    parser.add_argument("--task", required=True)
    parser.add_argument("--corpus", nargs="?", type=Path, help="cleaned text; not read for pairs of texts")
    parser.add_argument("--examples", required=True, type=Path, help="folder that prepare_task.py wrote")
    parser.add_argument("--out", required=True, type=Path)
    args = parser.parse_args()
    job = augmentation_job(load_resolved(args.config), args.task)
    check_digest(job, args.expect)
    if args.corpus:
        check_cleaned(args.corpus)
    added = augment_task(job, args.corpus, args.examples, args.out)["augmentation"]
    print(f"{args.task}: {added['examples']:,} unlabelled examples added", file=sys.stderr)


if __name__ == "__main__":
    run_program(main)
