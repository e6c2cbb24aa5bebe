"""Tables of all trials of the grids, and of what successive halving saves and chooses, from the trials' records. Needs no torch."""

from __future__ import annotations

import argparse
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.common.files import write_text
from ligero.common.records import write_listing
from ligero.reporting.grids import halving_table, replays, replays_table, trials_table
from ligero.reporting.results import Results
from ligero.reporting.writing import to_csv, write_table
from ligero.settings.jobs import reporting_job
from ligero.settings.program import check_digest, job_arguments, load_resolved


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    job_arguments(parser)
    parser.add_argument("--results", type=Path, required=True, help="results folder of the study")
    parser.add_argument("--out", type=Path, required=True, help="folder to write, R/grids")
    args = parser.parse_args()
    study = load_resolved(args.config)
    check_digest(reporting_job(study), args.expect)
    results = Results(study, args.results)
    write_text(args.out / "trials.csv", to_csv(trials_table(results)))
    found = list(replays(results))
    write_text(args.out / "replays.csv", to_csv(replays_table(found, study.scale)))
    write_listing(args.out / "trials.json", ["trials.csv", "replays.csv"])
    write_table(halving_table(found, study.scale), args.out / "halving.csv")


if __name__ == "__main__":
    run_program(main)
