"""Choose the best trial of a system on a task and put its model at its fixed place."""

from __future__ import annotations

import argparse
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.settings import jobs
from ligero.settings.program import check_digest, job_arguments, load_resolved
from ligero.settings.study import REGIMES
from ligero.training.selection import select


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    job_arguments(parser)
    parser.add_argument("--regime", required=True, choices=REGIMES)
    parser.add_argument("--model", required=True, help="id of the model or student")
    parser.add_argument("--task", required=True)
    parser.add_argument(
        "--shards", type=Path, nargs="+", required=True, help="files with the trials' results"
    )
    parser.add_argument("--out-selection", type=Path, required=True)
    parser.add_argument("--out-model", type=Path, required=True)
    args = parser.parse_args()
    study = load_resolved(args.config)
    job = jobs.selection_job(study, args.regime, args.model, args.task)
    check_digest(job, args.expect)
    sources = jobs.task_job(study, args.task).sources
    selection = select(job, args.shards, args.out_selection, args.out_model, sources)
    print(f"{args.model} on {args.task}: {selection['id']} of {len(job.trials)}, {selection['best']}")


if __name__ == "__main__":
    run_program(main)
