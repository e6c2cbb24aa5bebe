"""`ligero export`: run the workflow as far as the exported folders of a study's systems."""

from __future__ import annotations

import argparse
import sys

from ligero.command.project import run_workflow, shown_line, snakemake_line
from ligero.command.systems import open_results, the_task
from ligero.common.errors import ConfigurationError, DataError
from ligero.common.files import user_path
from ligero.settings import plan


def run(args: argparse.Namespace) -> int:
    """Export the requested systems and print their folders."""
    folder = user_path(args.study).resolve()
    if not (folder / "study.yaml").is_file():
        raise DataError(
            folder, None, "contains no study.yaml.",
            "Name the folder of a study that `ligero train` wrote. For other studies: snakemake --configfile CONFIG exports",
        )  # fmt: skip
    results = open_results(folder)
    task = the_task(results, args.task)
    known = plan.systems(results.study)
    wanted = [(regime, model) for regime, model in known if args.system in (None, model)]
    if not wanted:
        raise ConfigurationError(
            f"--system {args.system}: the study has no such system; known: {', '.join(dict.fromkeys(model for _, model in known))}"
        )
    targets = [f"results/exports/{regime}/{model}/{task}" for regime, model in wanted]
    line = snakemake_line(folder, args.cores, targets)
    print(shown_line(line), file=sys.stderr)
    if not args.dry_run:
        run_workflow(line, folder / "run.log")
        print("\n".join(str(folder / target) for target in targets))
    return 0
