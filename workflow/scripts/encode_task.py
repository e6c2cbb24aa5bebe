"""Turn one task's examples into token ids of one tokenizer."""

from __future__ import annotations

import argparse
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.settings import jobs
from ligero.settings.program import check_digest, job_arguments, load_resolved
from ligero.tasks.encoding import encode_task


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    job_arguments(parser)
    parser.add_argument("--task", required=True)
    parser.add_argument("--tokenizer", required=True, help="id of a tokenizer, or of a model with its own")
    parser.add_argument("--tokenizer-dir", type=Path, required=True, help="folder with fast_tokenizer.json")
    parser.add_argument("--examples", type=Path, required=True, help="folder that prepare_task.py wrote")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    job = jobs.encoding_job(load_resolved(args.config), args.task)
    check_digest(job, args.expect)
    encode_task(job, args.tokenizer, args.tokenizer_dir, args.examples, args.out)


if __name__ == "__main__":
    run_program(main)
