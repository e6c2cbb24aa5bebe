"""Make one table of the study from its artefacts: CSV, Markdown and LaTeX."""

from __future__ import annotations

import argparse
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.reporting.registry import make_table
from ligero.reporting.results import Results
from ligero.reporting.writing import write_table
from ligero.settings.jobs import reporting_job
from ligero.settings.program import check_digest, job_arguments, load_resolved


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    job_arguments(parser)
    parser.add_argument("--table", required=True, help="name of the table, e.g. efficiency")
    parser.add_argument("--results", type=Path, required=True, help="results folder of the study")
    parser.add_argument("--out", type=Path, required=True, help="CSV file; the other two lie beside it")
    args = parser.parse_args()
    study = load_resolved(args.config)
    check_digest(reporting_job(study), args.expect)
    write_table(make_table(args.table, Results(study, args.results)), args.out)


if __name__ == "__main__":
    run_program(main)
