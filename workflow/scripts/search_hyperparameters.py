"""Work on the search over distillation's loss, alpha, temperature and learning rate for one student and task (Optuna).

Start it again after a kill, or several times at once with one --state-dir: workers share the search.
"""

from __future__ import annotations

import argparse
import time

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.distillation.records import SearchWorker, write_search_worker
from ligero.settings.jobs import search_job
from ligero.settings.program import check_digest, load_resolved, teaching_arguments, training_arguments


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    training_arguments(parser)
    parser.add_argument("--student", required=True, help="id of the student")
    parser.add_argument("--task", required=True, help="id of the task")
    teaching_arguments(parser)
    args = parser.parse_args()
    job = search_job(load_resolved(args.config), args.student, args.task)
    check_digest(job, args.expect)

    from ligero.distillation.search import finished_trials, open_search, run_search
    from ligero.distillation.search_task import SearchTask
    from ligero.models.processor import use_processor
    from ligero.training.steps import device_name, training_device

    use_processor(args.threads)
    task = SearchTask(
        job.shard,
        job.trial,
        weights=args.weights,
        encoded_dir=args.encoded_dir,
        examples_dir=args.examples_dir,
        logits_dir=args.logits_dir,
        teachers_dir=args.teachers_dir,
    )
    search = open_search(
        args.state_dir / "search.journal",
        job.name,
        task.digest,
        max_epochs=job.trial.epochs,
        seed=job.trial.seed,
    )
    started = time.perf_counter()
    mine = run_search(search, job.trials, task.evaluate, args.state_dir)
    record: SearchWorker = {
        "search": job.name,
        "trials": mine,
        "finished_by_all": finished_trials(search),
        "seconds": round(time.perf_counter() - started, 3),
        "device": device_name(training_device()),
        "threads": args.threads,
    }
    write_search_worker(args.out, record)


if __name__ == "__main__":
    run_program(main)
