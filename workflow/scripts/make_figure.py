"""Draw figures of the study."""

from __future__ import annotations

import argparse
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.reporting.figures.style import write_svg
from ligero.reporting.registry import draw_figure
from ligero.reporting.results import Results
from ligero.settings.jobs import reporting_job
from ligero.settings.program import check_digest, job_arguments, load_resolved


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    job_arguments(parser)
    parser.add_argument("--figures", nargs="+", required=True, help="their names, e.g. score_vs_macs")
    parser.add_argument("--results", type=Path, required=True, help="results folder of the study")
    parser.add_argument("--folder", type=Path, required=True, help="gets NAME.svg for each of them")
    args = parser.parse_args()
    study = load_resolved(args.config)
    check_digest(reporting_job(study), args.expect)
    results = Results(study, args.results)
    for name in args.figures:
        write_svg(draw_figure(name, results), args.folder / f"{name}.svg")


if __name__ == "__main__":
    run_program(main)
