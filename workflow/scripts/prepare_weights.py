"""Fetch a model from the hub, or copy it from a folder, and check its weights and its tokenizer."""

from __future__ import annotations

import argparse
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.models.conversion import prepare_weights
from ligero.models.digests import write_weights_digest
from ligero.settings import jobs
from ligero.settings.program import check_digest, job_arguments, load_resolved
from ligero.sources.checksums import SourcesLock


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    job_arguments(parser)
    parser.add_argument("--model", required=True, help="id of the model")
    parser.add_argument("--out", type=Path, required=True, help="weights folder to write")
    parser.add_argument("--hub-cache", type=Path, required=True, help="download cache")
    parser.add_argument(
        "--lock", type=Path, required=True, help="file of what was recorded at first download"
    )
    args = parser.parse_args()
    job = jobs.weights_job(load_resolved(args.config), args.model)
    check_digest(job, args.expect)
    source = prepare_weights(job, args.out, args.hub_cache, SourcesLock(args.lock))
    write_weights_digest(args.out)
    print(f"{args.model}: {source}")


if __name__ == "__main__":
    run_program(main)
