"""Measure cached logits against a live teacher, and length buckets against padding; writes a CSV."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import _workflow  # noqa: F401
from _measurements import number, write_measurements
from distillation_contenders import COLUMNS, measure
from ligero.common.errors import run_program


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    parser.add_argument("--turns", type=number(int, 2), default=3, help="turns of each contender")
    parser.add_argument("--threads", type=number(int, 1), default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    lines = measure(args.turns)
    write_measurements(args.out, COLUMNS, lines, threads=args.threads)


if __name__ == "__main__":
    run_program(main)
