"""Write the model card of every selected model: recipe, test scores with intervals, size, speed, licences."""

from __future__ import annotations

import argparse
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.reporting.cards import write_cards
from ligero.reporting.results import Results
from ligero.settings.jobs import cards_job
from ligero.settings.program import check_digest, job_arguments, load_resolved


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    job_arguments(parser)
    parser.add_argument("--results", type=Path, required=True, help="results folder of the study")
    parser.add_argument("--out", type=Path, required=True, help="folder to write, R/cards")
    args = parser.parse_args()
    study = load_resolved(args.config)
    check_digest(cards_job(study), args.expect)
    print(f"{write_cards(Results(study, args.results), args.out)} cards written to {args.out}")


if __name__ == "__main__":
    run_program(main)
