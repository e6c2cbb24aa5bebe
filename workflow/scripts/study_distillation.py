"""Search over distillation's loss, alpha, temperature and learning rate (Optuna: TPE, Hyperband) for one student and task.

Start it again after a kill, or several times at once with one --state-dir: workers share the study.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

import _library  # noqa: F401
from ligero.common.errors import ConfigurationError, run_program
from ligero.common.files import atomic_path, write_json
from ligero.settings import jobs
from ligero.settings.program import load_resolved


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, type=Path, help="resolved configuration")
    parser.add_argument("--student", required=True, help="id of the student")
    parser.add_argument("--task", required=True, help="id of the task")
    parser.add_argument(
        "--weights", required=True, type=Path, help="model folder that the student starts from"
    )
    parser.add_argument("--encoded-dir", required=True, type=Path, help="R/encoded/VOCABULARY of the student")
    parser.add_argument("--examples-dir", required=True, type=Path, help="R/tasks")
    parser.add_argument("--logits-dir", required=True, type=Path, help="R/logits")
    parser.add_argument("--state-dir", required=True, type=Path, help="R/state/studies/STUDENT-TASK")
    parser.add_argument("--out", required=True, type=Path, help="folder to write, R/studies/STUDENT-TASK")
    parser.add_argument(
        "--trials", type=int, default=500, help="completed or pruned trials to reach (thesis: 500)"
    )
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()

    study_settings = load_resolved(args.config)
    place = next(
        (
            (number, trial)
            for number, shard in enumerate(jobs.shards_of(study_settings, "distillation", args.student))
            for trial in shard
            if trial.task == args.task
        ),
        None,
    )
    if place is None:
        raise ConfigurationError(f"student '{args.student}' has no trials on task '{args.task}'")
    job = jobs.shard_job(study_settings, "distillation", args.student, place[0])

    import torch

    from ligero.distillation.study import open_study, run_study, study_summary, table_of
    from ligero.distillation.study_figures import draw_importances, draw_slices
    from ligero.distillation.study_task import StudiedTask

    torch.set_num_threads(args.threads)
    task = StudiedTask(
        job,
        place[1],
        weights=args.weights,
        encoded_dir=args.encoded_dir,
        examples_dir=args.examples_dir,
        logits_dir=args.logits_dir,
    )
    study = open_study(
        args.state_dir / "study.journal",
        f"{args.student}-{args.task}",
        task.identity,
        max_epochs=place[1].epochs,
        seed=place[1].seed,
    )
    run_study(study, args.trials, task.evaluate, args.state_dir)
    rows, summary = table_of(study), study_summary(study)
    _write_table(args.out / "trials.csv", rows)
    _write_table(args.out / "best_per_loss.csv", summary["best_per_loss"])
    draw_importances(summary["importances"], args.out / "importances.svg")
    draw_slices(rows, args.out / "slices.svg")
    write_json(args.out / "summary.json", summary)


def _write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    columns = (
        "number",
        "state",
        "validation_loss",
        "epochs",
        "loss",
        "alpha",
        "temperature",
        "learning_rate",
    )
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, columns)
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    run_program(main)
