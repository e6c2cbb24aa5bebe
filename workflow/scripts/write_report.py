"""Write the report page of a study: one self-contained HTML file."""

from __future__ import annotations

import argparse
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.reporting.page.content import page_data
from ligero.reporting.page.document import write_page
from ligero.reporting.results import Results
from ligero.settings.jobs import reporting_job
from ligero.settings.program import check_digest, job_arguments, load_resolved


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    job_arguments(parser)
    parser.add_argument("--results", type=Path, required=True, help="results folder of the study")
    parser.add_argument("--out", type=Path, required=True, help="HTML file to write")
    args = parser.parse_args()
    study = load_resolved(args.config)
    check_digest(reporting_job(study), args.expect)
    write_page(args.out, page_data(Results(study, args.results)))


if __name__ == "__main__":
    run_program(main)
