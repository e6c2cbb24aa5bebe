"""Choose the best trial of a system on some tasks and move each selected model to its fixed path."""

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
    parser.add_argument("--tasks", nargs="+", required=True)
    parser.add_argument(
        "--shards", type=Path, nargs="+", required=True, help="files with the trials' results"
    )
    parser.add_argument(
        "--state-dir", type=Path, required=True, help="R/state/REGIME/MODEL, the trials' weights"
    )
    parser.add_argument("--selections-dir", type=Path, required=True, help="gets a JSON file per task")
    parser.add_argument("--models-dir", type=Path, required=True, help="gets a model folder per task")
    args = parser.parse_args()
    study = load_resolved(args.config)
    chosen = jobs.selections_job(study, args.regime, args.model, args.tasks)
    check_digest(chosen, args.expect)
    for job in chosen.selections:
        task = job.task_id
        selection = select(
            job,
            args.shards,
            args.state_dir,
            args.selections_dir / f"{task}.json",
            args.models_dir / task,
        )
        print(f"{args.model} on {task}: {selection['id']} of {len(job.trials)}, {selection['best']}")


if __name__ == "__main__":
    run_program(main)
