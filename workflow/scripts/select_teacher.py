"""Choose the teacher of one task among the fine-tuned models."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.distillation.records import write_choice
from ligero.distillation.teachers import choose_teacher
from ligero.settings import jobs, plan
from ligero.settings.program import check_digest, job_arguments, load_resolved


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    job_arguments(parser)
    parser.add_argument("--task", required=True, help="id of the task")
    parser.add_argument(
        "--selections", required=True, type=Path, nargs="+", help="R/selection/fine-tuning/*/TASK.json"
    )
    parser.add_argument("--out", required=True, type=Path, help="R/teachers/TASK.json")
    args = parser.parse_args()

    study = load_resolved(args.config)
    job = jobs.teacher_job(study, args.task)
    check_digest(job, args.expect)
    tokenizers = {model: plan.tokenizer_of(study, model) for model in job.candidates}
    chosen = choose_teacher(job, args.selections, tokenizers)
    write_choice(args.out, chosen)
    print(f"{args.task}: teacher {chosen['teacher']} by rule {chosen['rule']}", file=sys.stderr)


if __name__ == "__main__":
    run_program(main)
