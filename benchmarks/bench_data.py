"""Measure cleaning, encoding and memory of the corpus stage against their plain counterparts (make bench-data)."""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

# One thread on both sides; read by the libraries when they are loaded.
os.environ.setdefault("RAYON_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import _workflow  # noqa: F401
from _measurements import number, write_measurements
from corpus_contenders import (
    Measurement,
    bench_bzip2,
    bench_cleaning,
    bench_encoding,
    bench_memory,
    projections,
    take_blocks,
)
from ligero.common.allocator import keep_freed_memory
from ligero.common.errors import DataError, run_program
from ligero.corpus.pipeline import CleanPaths, clean_corpus
from ligero.corpus.token_store import TokenStore
from ligero.settings.corpus import Corpus
from ligero.settings.tokenizers import Tokenizer as TokenizerSettings
from ligero.synthetic.raw import MAKERS, corpus_text
from ligero.tokenizers.encode_corpus import encode_corpus
from ligero.tokenizers.fast_tokenizer import FastTokenizer
from ligero.tokenizers.training import train_tokenizer
from store_contenders import bench_store

MIRROR = Path("../shared/data/raw")
KINDS = ("sentencepiece_unigram", "wordpiece", "byte_level_bpe")
GENERATED_VOCABULARY = 1_000
"""The generator's words give no larger vocabulary."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--texts",
        type=Path,
        nargs="+",
        default=sorted(MIRROR.glob("*.txt.xz")),
        help=f"raw text files, plain or compressed (default: {MIRROR}/*.txt.xz; without them the embedded generator's)",
    )
    parser.add_argument("--out", type=Path, default=Path("results/bench/data.csv"))
    parser.add_argument(
        "--megabytes", type=number(float, 0.1), default=20, help="text for cleaning and encoding"
    )
    parser.add_argument("--rounds", type=number(int, 1), default=3)
    parser.add_argument("--vocabulary-size", type=number(int, 300), default=31_000)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--memory-megabytes", type=number(int, 1), nargs=2, default=(50, 500))
    args = parser.parse_args()

    if missing := [path for path in args.texts if not path.exists()]:
        raise DataError(missing[0], None, "no such file.", "Give raw texts with --texts.")
    keep_freed_memory()  # as clean_corpus does; the peer gets it too
    with tempfile.TemporaryDirectory() as name:
        rows = [measurement.row() for measurement in measure(args, Path(name))]
    write_measurements(
        args.out, list(rows[0]), [list(row.values()) for row in rows], threads="1, or as the row says"
    )
    say(f"written: {args.out}")


def measure(args: argparse.Namespace, folder: Path) -> list[Measurement]:
    """Every measurement, each printed as soon as it is made."""
    texts, vocabulary_size = args.texts, args.vocabulary_size
    if not texts:
        say(f"no real text in {MIRROR}: measuring on generated text, whose few words flatter the word cache")
        texts, vocabulary_size = (
            [generated(folder, args.megabytes)],
            min(vocabulary_size, GENERATED_VOCABULARY),
        )
    found: list[Measurement] = []

    def add(measurements: list[Measurement]) -> None:
        found.extend(measurements)
        for measurement in measurements:
            say("  " + ", ".join(f"{key} {value}" for key, value in measurement.row().items()))

    blocks = take_blocks(texts, args.megabytes)
    say(
        f"cleaning {sum(map(len, blocks)) / 1e6:.1f} of {args.megabytes} MB, {args.rounds} turns of each side"
    )
    add([bench_cleaning(blocks, args.rounds)])
    say("cleaning all texts, to train vocabularies on")
    parts = {f"part-{number}": path for number, path in enumerate(texts)}
    clean_corpus(parts, folder / "corpus", Corpus(parts=tuple(parts)), processes=2)
    for kind in args.kinds:
        say(f"training a {kind} vocabulary of {vocabulary_size}, then encoding")
        settings = TokenizerSettings(
            kind=kind,
            vocabulary_size=vocabulary_size,
            lower_case=kind != "byte_level_bpe",
            training_sentences=50_000,
        )
        train_tokenizer(settings, CleanPaths(folder / "corpus").train, folder / kind)
        add([bench_encoding(kind, FastTokenizer.load(folder / kind), blocks, args.rounds)])
    say("token store of the held-out documents")
    (folder / "part").mkdir()
    for split in ("train", "validation"):
        shutil.copy(CleanPaths(folder / "corpus").validation, folder / "part" / f"{split}.txt.zst")
    encode_corpus(folder / args.kinds[0], folder / "part", folder / "tokens")
    add(bench_store(TokenStore.open(folder / "tokens", "train"), folder, args.rounds))
    # Two at least, so that what is measured is what several threads do.
    threads = max(2, len(os.sched_getaffinity(0)))
    say(f"reading bzip2 with {threads} threads")
    add([bench_bzip2(blocks, folder, args.rounds, threads)])
    small, large = args.memory_megabytes
    say(f"peak memory of cleaning {large} MB and {small} MB")
    add([bench_memory(blocks, folder, small, large)])
    add(projections(found))
    if args.texts:
        return found
    return [
        dataclasses.replace(measurement, measure=f"{measurement.measure}, generated text")
        for measurement in found
    ]


def generated(folder: Path, megabytes: float) -> Path:
    """A text of the embedded generator: 2 MB, repeated, since it writes slowly."""
    draw = random.Random(42)
    text = "\n".join(corpus_text(maker, size, draw) for maker, size in MAKERS.values())
    path = folder / "generated.txt"
    path.write_text("\n".join([text] * math.ceil(megabytes / len(text.encode()) * 1e6)), encoding="utf-8")
    return path


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    run_program(main)
