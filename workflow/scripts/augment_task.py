"""Add unlabelled sentences of the corpus to a task's training examples."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.settings.augmentation import augmentation_job
from ligero.settings.program import check_digest, job_arguments, load_resolved
from ligero.tasks.augmentation import augment_task


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    job_arguments(parser)
    parser.add_argument("--task", required=True)
    parser.add_argument("--corpus", required=True, type=Path, help="cleaned text")
    parser.add_argument("--examples", required=True, type=Path, help="folder that prepare_task.py wrote")
    parser.add_argument("--out", required=True, type=Path)
    args = parser.parse_args()
    job = augmentation_job(load_resolved(args.config), args.task)
    check_digest(job, args.expect)
    added = augment_task(job, args.corpus, args.examples, args.out)["augmentation"]
    print(f"{args.task}: {added['sentences']:,} sentences of {added['lines']:,} lines", file=sys.stderr)


if __name__ == "__main__":
    run_program(main)
