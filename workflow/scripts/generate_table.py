"""Write a CSV of generated Spanish news with their topics (columns texto, tema): something to try `ligero` on."""

from __future__ import annotations

import argparse
import csv
import io
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.common.files import write_text
from ligero.synthetic.table import HEADER, labelled_texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="CSV file to write")
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--seed", type=int, default=42, help="the same seed gives the same bytes")
    arguments = parser.parse_args()
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([HEADER, *labelled_texts(arguments.seed, arguments.rows)])
    write_text(arguments.out, text.getvalue())


if __name__ == "__main__":
    run_program(main)
