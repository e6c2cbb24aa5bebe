"""Score logistic regression on the static embeddings of a classification task's teacher."""

from __future__ import annotations

import argparse
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.distillation.records import read_choice
from ligero.settings import jobs
from ligero.settings.program import check_digest, job_arguments, load_resolved
from ligero.training.records import write_static_embeddings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    job_arguments(parser)
    parser.add_argument("--task", required=True, help="id of the task")
    parser.add_argument("--teacher", type=Path, required=True, help="R/teachers/TASK.json")
    parser.add_argument("--models-dir", type=Path, required=True, help="R/models/fine-tuning")
    parser.add_argument("--selections-dir", type=Path, required=True, help="R/selection/fine-tuning")
    parser.add_argument("--encoded-root", type=Path, required=True, help="R/encoded")
    parser.add_argument("--examples-dir", type=Path, required=True, help="R/tasks/TASK")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    job = jobs.static_embeddings_job(load_resolved(args.config), args.task)
    check_digest(job, args.expect)

    import torch

    from ligero.training.selection import check_selected
    from ligero.training.static_embeddings import score_static_embeddings

    torch.set_num_threads(args.threads)
    chosen = read_choice(args.teacher)
    teacher = chosen["teacher"]
    model = args.models_dir / teacher / job.task_id
    check_selected(args.selections_dir / teacher / f"{job.task_id}.json", model)
    record = score_static_embeddings(
        job.task_id,
        job.task,
        job.teachers[teacher],
        model_dir=model,
        encoded_dir=args.encoded_root / chosen["tokenizers"][teacher] / job.task_id,
        examples_dir=args.examples_dir,
        seed=job.seed,
    )
    write_static_embeddings(args.out, record)
    found = record["scored"]
    print(
        f"{args.task}: {found['name']}: {found['score']:.2f}" if found else f"{args.task}: {record['reason']}"
    )


if __name__ == "__main__":
    run_program(main)
