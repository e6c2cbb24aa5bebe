"""Write the embedded study (raw corpus and eight tasks in their published formats) from a seed."""

from __future__ import annotations

import argparse
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.synthetic.generator import generate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write into")
    parser.add_argument("--seed", type=int, required=True, help="the same seed gives the same bytes")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on all sizes (default: 1.0)")
    arguments = parser.parse_args()
    generate(arguments.out, arguments.seed, arguments.scale)


if __name__ == "__main__":
    run_program(main)
