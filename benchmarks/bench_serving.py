"""Requests per second and their time at 1, 8 and 64 clients, ALBETO tiny with random weights in int8; writes a CSV.

Server and clients run on this machine and share its cores.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import _workflow  # noqa: F401
from _measurements import number, write_measurements
from ligero.command.bench_serve import Load, measure
from ligero.common.errors import run_program
from untrained_models import FIRST_WORD, MAX_LENGTH, TINY, VOCABULARY, Untrained, write_folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    parser.add_argument(
        "--tokens", type=number(int, 3, MAX_LENGTH), default=30, help="of a text, special ones included"
    )
    parser.add_argument("--clients", type=number(int, 1), nargs="+", default=[1, 8, 64])
    parser.add_argument("--seconds", type=number(float, 0.1), default=5.0, help="for each number of clients")
    args = parser.parse_args()
    ids = np.random.default_rng(0).integers(FIRST_WORD, VOCABULARY, (64, args.tokens - 2))
    texts = [" ".join(f"w{word}" for word in row) for row in ids.tolist()]
    with TemporaryDirectory() as name:
        folder = Path(name) / "model"
        write_folder(Untrained(TINY), folder)
        loads = measure(folder, texts, args.clients, args.seconds)
    write_measurements(
        args.out,
        list(Load.__annotations__),
        [list(load.values()) for load in loads],
        threads=len(os.sched_getaffinity(0)),
    )


if __name__ == "__main__":
    run_program(main)
