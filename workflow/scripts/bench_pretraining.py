"""Measure pretraining beside transformers' default path; writes a CSV with each step's share."""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from pathlib import Path

import torch

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.common.files import atomic_path
from ligero.pretraining.bench import COLUMNS, PEER, SIZES, measure, peak_memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--length", type=int, default=512, help="tokens a row")
    parser.add_argument("--rows", type=int, default=8, help="rows a micro batch")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contender")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory-of", choices=["ours", "peer"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.memory_of:
        print(peak_memory(args.memory_of, args.sizes[0], args.length, args.rows))
        return
    lines = []
    for size in args.sizes:
        lines += measure(size, args.length, args.rows, args.rounds)
        used = [memory_of(kind, size, args) for kind in ("ours", "peer")]
        ratio = round(used[0] / used[1], 2)
        lines.append(
            (f"ALBETO {size}, {args.length} tokens: peak memory", *map(round, used), PEER, "MB", ratio, 0.5)
        )
    with atomic_path(args.out) as path, path.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([COLUMNS, *lines])
    for line in lines:
        print(*line, sep="  ")


def memory_of(kind: str, size: str, args: argparse.Namespace) -> float:
    """Peak memory of one contender, measured in a process of its own."""
    command = [sys.executable, __file__, "--out", str(args.out), "--sizes", size, "--memory-of", kind]
    command += ["--length", str(args.length), "--rows", str(args.rows), "--threads", str(args.threads)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


if __name__ == "__main__":
    run_program(main)
