"""Score the selected models of some systems on the test splits of some tasks."""

from __future__ import annotations

import argparse
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.settings import jobs
from ligero.settings.program import check_digest, job_arguments, load_resolved
from ligero.settings.study import REGIMES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    job_arguments(parser)
    parser.add_argument("--regime", required=True, choices=REGIMES)
    parser.add_argument("--shard", required=True, help="numbers of systems and tasks: 0-1")
    parser.add_argument("--models-dir", type=Path, required=True, help="R/models/REGIME")
    parser.add_argument("--selections-dir", type=Path, required=True, help="R/selection/REGIME")
    parser.add_argument("--encoded-root", type=Path, required=True, help="R/encoded")
    parser.add_argument("--examples-dir", type=Path, required=True, help="folder with the prepared tasks")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--predictions-dir", type=Path, required=True, help="R/predictions/REGIME")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    job = jobs.scoring_job(load_resolved(args.config), args.regime, args.shard)
    check_digest(job, args.expect)

    from ligero.models.processor import use_processor
    from ligero.training.records import write_scores
    from ligero.training.scoring import score_selected
    from ligero.training.selection import check_selected

    use_processor(args.threads)
    for system in job.systems:
        for task in job.tasks:
            check_selected(args.selections_dir / system / f"{task}.json", args.models_dir / system / task)
    records = score_selected(
        job,
        models_dir=args.models_dir,
        encoded_root=args.encoded_root,
        examples_dir=args.examples_dir,
        predictions_dir=args.predictions_dir,
    )
    write_scores(args.out, args.regime, records)


if __name__ == "__main__":
    run_program(main)
