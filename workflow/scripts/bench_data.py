"""Measure cleaning, encoding and memory of the corpus stage against their plain counterparts (make bench-data)."""

from __future__ import annotations

import argparse
import csv
import os
import tempfile
from pathlib import Path

# One thread on both sides; read by the libraries when they are loaded.
os.environ.setdefault("RAYON_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import _library  # noqa: F401
from ligero.common.errors import DataError, run_program
from ligero.common.files import atomic_path
from ligero.corpus import benchmark
from ligero.corpus.pipeline import CleanPaths, clean_corpus
from ligero.settings.corpus import Cleaning
from ligero.settings.corpus import Tokenizer as TokenizerSettings
from ligero.tokenizers.encoder import Encoder
from ligero.tokenizers.training import train_tokenizer

MIRROR = Path("../shared/data/raw")
KINDS = ("sentencepiece_unigram", "wordpiece", "byte_level_bpe")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--texts",
        type=Path,
        nargs="+",
        default=sorted(MIRROR.glob("*.txt.xz")),
        help=f"raw text files, plain or compressed (default: {MIRROR}/*.txt.xz)",
    )
    parser.add_argument("--out", type=Path, default=Path("results/bench/data.csv"))
    parser.add_argument("--megabytes", type=float, default=30, help="text for cleaning and encoding")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--vocabulary-size", type=int, default=31_000)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--memory-megabytes", type=int, nargs=2, default=(50, 500))
    args = parser.parse_args()

    if not args.texts:
        raise DataError(MIRROR, None, "no raw texts here.", "Give some with --texts.")
    if missing := [path for path in args.texts if not path.exists()]:
        raise DataError(missing[0], None, "no such file.", "Give raw texts with --texts.")
    blocks = benchmark.take_blocks(args.texts, args.megabytes)
    measurements = [benchmark.bench_cleaning(blocks, args.rounds)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clean_corpus({str(path): path for path in args.texts}, folder / "corpus", Cleaning(), processes=2)
        for kind in args.kinds:
            settings = TokenizerSettings(
                kind=kind,
                vocabulary_size=args.vocabulary_size,
                lower_case=kind != "byte_level_bpe",
                training_sentences=100_000,
            )
            train_tokenizer(settings, CleanPaths(folder / "corpus").train, folder / kind)
            encoder = Encoder.load(folder / kind)
            measurements.append(benchmark.bench_encoding(kind, encoder, blocks, args.rounds))
        # Two at least, so that what is measured is what several threads do.
        threads = max(2, len(os.sched_getaffinity(0)))
        measurements.append(benchmark.bench_bzip2(blocks, folder, args.rounds, threads))
        measurements.append(benchmark.bench_memory(blocks, folder, *args.memory_megabytes))
    rows = [measurement.row() for measurement in [*measurements, *benchmark.projections(measurements)]]
    with atomic_path(args.out) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        print(row)


if __name__ == "__main__":
    run_program(main)
