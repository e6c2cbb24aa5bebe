"""Score what needs no model on a task's test split: majority class, most frequent tag, most frequent answer."""

from __future__ import annotations

import argparse
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.settings.jobs import baseline_job
from ligero.settings.program import check_digest, job_arguments, load_resolved
from ligero.training.baselines import score_baseline
from ligero.training.records import write_baseline


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    job_arguments(parser)
    parser.add_argument("--task", required=True, help="id of the task")
    parser.add_argument("--examples", type=Path, required=True, help="folder that prepare_task.py wrote")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    job = baseline_job(load_resolved(args.config), args.task)
    check_digest(job, args.expect)
    write_baseline(args.out, score_baseline(job.task_id, job.task, args.examples, job.seed))


if __name__ == "__main__":
    run_program(main)
