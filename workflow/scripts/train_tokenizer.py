"""Train a tokenizer on the cleaned corpus."""

from __future__ import annotations

import argparse
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.corpus.statistics import check_cleaned
from ligero.settings.program import check_digest, job_arguments, load_resolved
from ligero.tokenizers.training import train_tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    job_arguments(parser)
    parser.add_argument("--tokenizer", required=True, help="id of the tokenizer in the configuration")
    parser.add_argument("--corpus", type=Path, required=True, help="clean text to train on")
    parser.add_argument("--out", type=Path, required=True, help="folder of the tokenizer")
    args = parser.parse_args()

    settings = load_resolved(args.config).tokenizers[args.tokenizer]
    check_digest(settings, args.expect)
    check_cleaned(args.corpus)
    train_tokenizer(settings, args.corpus, args.out)


if __name__ == "__main__":
    run_program(main)
