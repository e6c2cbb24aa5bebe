"""Bring one source (a file of the corpus or of a task) to its place, verified."""

from __future__ import annotations

import argparse
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.settings.program import check_digest, job_arguments, load_resolved
from ligero.sources.checksums import SourcesLock
from ligero.sources.fetching import Fetcher


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    job_arguments(parser)
    parser.add_argument("--source", required=True, help="id of the source")
    parser.add_argument("--destination", required=True, type=Path, help="where to put the file")
    parser.add_argument(
        "--lock", required=True, type=Path, help="file of checksums recorded at first download"
    )
    parser.add_argument("--generated-mirror", type=Path, help="folder written by the generator")
    args = parser.parse_args()

    study = load_resolved(args.config)
    if args.source in study.sources:
        check_digest(study.sources[args.source], args.expect)
    fetcher = Fetcher(study.sources, SourcesLock(args.lock), study.mirror, args.generated_mirror)
    fetcher.fetch(args.source, args.destination)


if __name__ == "__main__":
    run_program(main)
