"""Compare everything in a results folder with the digests that were recorded when it was made; exit status 1 where anything differs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.reporting.artefact_digests import verify_results
from ligero.settings.program import load_resolved


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="results folder of a study")
    args = parser.parse_args()
    config = args.results / "config.json"
    found = verify_results(args.results, load_resolved(config) if config.is_file() else None)
    counted = ", ".join(f"{count} {kind}" for kind, count in sorted(found.checked.items())) or "nothing"
    print(f"{args.results}: compared {counted}")
    for finding in found.findings:
        print(f"error: {finding.path}: {finding.problem} {finding.remedy}".rstrip(), file=sys.stderr)
    return 1 if found.findings else 0


if __name__ == "__main__":
    run_program(main)
