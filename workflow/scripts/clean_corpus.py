"""Clean the raw corpus and count it."""

from __future__ import annotations

import argparse
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.corpus.pipeline import clean_corpus
from ligero.settings import jobs
from ligero.settings.program import check_digest, job_arguments, load_resolved
from ligero.sources.checksums import check_sources


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    job_arguments(parser)
    parser.add_argument("--sources-dir", type=Path, required=True, help="folder of fetched sources")
    parser.add_argument("--out", type=Path, required=True, help="folder of the cleaned corpus")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()

    study = load_resolved(args.config)
    job = jobs.cleaning_job(study)
    check_digest(job, args.expect)
    corpus = job.corpus
    check_sources({part: study.sources[part] for part in corpus.parts}, args.config.parent)
    parts = {part: args.sources_dir / study.sources[part].path for part in corpus.parts}
    clean_corpus(parts, args.out, corpus, processes=args.threads)


if __name__ == "__main__":
    run_program(main)
