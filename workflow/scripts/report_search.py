"""Tables and figures of one search over distillation's hyper-parameters, from its journal. Needs no torch."""

from __future__ import annotations

import argparse
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.common.files import write_text
from ligero.distillation.records import write_search_summary
from ligero.distillation.search import read_search, summarise
from ligero.reporting.figures.search import draw_importances, draw_slices
from ligero.reporting.searches import best_table, trials_table
from ligero.reporting.writing import to_csv, write_table
from ligero.settings.jobs import search_job
from ligero.settings.program import check_digest, job_arguments, load_resolved


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    job_arguments(parser)
    parser.add_argument("--student", required=True, help="id of the student")
    parser.add_argument("--task", required=True, help="id of the task")
    parser.add_argument("--state-dir", required=True, type=Path, help="R/state/searches/STUDENT/TASK")
    parser.add_argument("--out", required=True, type=Path, help="folder to write, R/searches/STUDENT/TASK")
    args = parser.parse_args()
    settings = load_resolved(args.config)
    job = search_job(settings, args.student, args.task)
    check_digest(job, args.expect)
    search = read_search(args.state_dir / "search.journal", job.name)
    summary = summarise(search)
    write_text(args.out / "trials.csv", to_csv(trials_table(summary["rows"], settings.scale)))
    write_table(best_table(summary["best_per_loss"], settings.scale), args.out / "best_per_loss.csv")
    draw_importances(search, settings, args.out / "importances.svg")
    draw_slices(search, args.out / "slices.svg")
    write_search_summary(args.out / "summary.json", summary)


if __name__ == "__main__":
    run_program(main)
