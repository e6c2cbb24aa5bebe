"""Run each task's teacher once over the training split and keep its logits."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.distillation.records import LogitsCost, read_choice, write_cost
from ligero.settings import jobs
from ligero.settings.program import check_digest, job_arguments, load_resolved


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    job_arguments(parser)
    parser.add_argument("--tasks", nargs="+", required=True, help="ids of the tasks")
    parser.add_argument("--teachers-dir", required=True, type=Path, help="R/teachers")
    parser.add_argument("--models-dir", required=True, type=Path, help="R/models/fine-tuning")
    parser.add_argument("--selections-dir", required=True, type=Path, help="R/selection/fine-tuning")
    parser.add_argument("--encoded-root", required=True, type=Path, help="R/encoded")
    parser.add_argument("--out", required=True, type=Path, help="R/logits, gets a folder per task")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()

    wanted = jobs.logits_jobs(load_resolved(args.config), args.tasks)
    check_digest(wanted, args.expect)

    from ligero.distillation.teacher_logits import build_cache, record_caches
    from ligero.models.processor import use_processor
    from ligero.training.selection import check_selected

    use_processor(args.threads)
    for job in wanted.caches:
        task = job.task_id
        chosen = read_choice(args.teachers_dir / f"{task}.json")
        out, state = args.out / task, args.out.parent / "state" / "logits" / task
        weights = chosen["weights"]
        runs, caches = [], {}
        for number, teacher in enumerate(weights):
            check_selected(args.selections_dir / teacher / f"{task}.json", args.models_dir / teacher / task)
            caches[teacher], cost = build_cache(
                job,
                teacher,
                models_dir=args.models_dir,
                encoded=args.encoded_root / chosen["tokenizers"][teacher] / task,
                out=out if number == 0 else out / "also" / teacher,
                state=state / teacher,
                together=weights,
            )
            runs.append(cost)
            print(
                f"{task}: logits of {teacher} for {len(caches[teacher].layout):,} features", file=sys.stderr
            )
        if len(caches) > 1:
            record_caches(out, caches)
        write_cost(out / "cost.json", LogitsCost(task=task, runs=runs))
        shutil.rmtree(state, ignore_errors=True)


if __name__ == "__main__":
    run_program(main)
