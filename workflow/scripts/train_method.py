"""Train the compared student by one method with one seed, and score it on the test split."""

from __future__ import annotations

import argparse
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.settings.jobs import ablation_job
from ligero.settings.program import check_digest, load_resolved, teaching_arguments, training_arguments


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    training_arguments(parser)
    teaching_arguments(parser)
    parser.add_argument("--task", required=True)
    parser.add_argument("--method", required=True, help="id under ablation.methods")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument(
        "--predictions-dir", type=Path, required=True, help="gets the answers on the test split"
    )
    args = parser.parse_args()
    job = ablation_job(load_resolved(args.config), args.task, args.method, args.seed)
    check_digest(job, args.expect)

    from ligero.distillation.ablation import run_method
    from ligero.models.processor import use_processor

    use_processor(args.threads)
    run_method(
        job,
        weights=args.weights,
        encoded_dir=args.encoded_dir,
        examples_dir=args.examples_dir,
        logits_dir=args.logits_dir,
        teachers_dir=args.teachers_dir,
        state_dir=args.state_dir,
        predictions_dir=args.predictions_dir,
        out=args.out,
    )


if __name__ == "__main__":
    run_program(main)
