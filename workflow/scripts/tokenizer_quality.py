"""Measure how well a tokenizer fits texts that it was not trained on."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import DataError, run_program
from ligero.common.files import write_json
from ligero.corpus.reading import read_documents
from ligero.tokenizers.fast_tokenizer import FastTokenizer
from ligero.tokenizers.quality import tokenizer_quality


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokenizer-dir", type=Path, required=True, help="folder of the tokenizer")
    parser.add_argument("--text", type=Path, required=True, help="clean text, one paragraph per line")
    parser.add_argument("--out", type=Path, required=True, help="quality.json")
    args = parser.parse_args()

    lines = (line for document in read_documents(args.text) for line in document)
    quality = tokenizer_quality(FastTokenizer.load(args.tokenizer_dir), lines)
    if not quality.words:
        raise DataError(args.text, None, "holds no words.", "Give clean text, one paragraph per line.")
    write_json(args.out, asdict(quality))


if __name__ == "__main__":
    run_program(main)
