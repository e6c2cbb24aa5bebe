"""Encode the cleaned corpus with a tokenizer into its token store."""

from __future__ import annotations

import argparse
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.corpus.statistics import check_cleaned
from ligero.settings.program import check_digest, job_arguments, load_resolved
from ligero.tokenizers.encode_corpus import encode_corpus


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    job_arguments(parser)
    parser.add_argument("--tokenizer", required=True, help="id of the tokenizer in the configuration")
    parser.add_argument("--tokenizer-dir", type=Path, required=True, help="folder of the tokenizer")
    parser.add_argument("--corpus-dir", type=Path, required=True, help="folder of the cleaned text")
    parser.add_argument("--out", type=Path, required=True, help="folder of the token store")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()

    check_digest(load_resolved(args.config).tokenizers[args.tokenizer], args.expect)
    for split in ("train", "validation"):
        check_cleaned(args.corpus_dir / f"{split}.txt.zst")
    encode_corpus(args.tokenizer_dir, args.corpus_dir, args.out, args.threads)


if __name__ == "__main__":
    run_program(main)
