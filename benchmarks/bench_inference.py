"""Measure exported classifiers against BETO at batch 1; writes a CSV. Weights are random: they do not change the speed."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import _workflow  # noqa: F401
from _measurements import number, write_measurements
from inference_contenders import COLUMNS, measure
from ligero.common.errors import run_program


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    parser.add_argument("--turns", type=number(int, 2), default=9, help="turns of each contender")
    parser.add_argument(
        "--layers",
        type=number(int, 1),
        nargs="*",
        default=[2, 4, 8],
        help="students of ALBETO base, beside tiny",
    )
    args = parser.parse_args()
    torch.set_num_threads(1)
    lines = measure(args.turns, args.layers)
    write_measurements(args.out, COLUMNS, lines)


if __name__ == "__main__":
    run_program(main)
