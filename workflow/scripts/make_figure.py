"""Draw one figure of the study, or all of them in one process."""

from __future__ import annotations

import argparse
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.reporting.figures.style import write_svg
from ligero.reporting.registry import draw_figure, figures
from ligero.reporting.results import Results
from ligero.settings.jobs import reporting_job
from ligero.settings.program import check_digest, job_arguments, load_resolved


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    job_arguments(parser)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--figure", help="name of the figure, e.g. score_vs_macs")
    what.add_argument("--all", action="store_true", help="every figure of the study; --out is a folder")
    parser.add_argument("--results", type=Path, required=True, help="results folder of the study")
    parser.add_argument("--out", type=Path, required=True, help="SVG file, or folder with --all")
    args = parser.parse_args()
    study = load_resolved(args.config)
    check_digest(reporting_job(study), args.expect)
    results = Results(study, args.results)
    names = list(figures(study)) if args.all else [args.figure]
    for name in names:
        write_svg(draw_figure(name, results), args.out / f"{name}.svg" if args.all else args.out)


if __name__ == "__main__":
    run_program(main)
