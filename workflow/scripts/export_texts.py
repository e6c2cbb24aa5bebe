"""Write every text of some prepared tasks as plain lines, e.g. to trim a multilingual vocabulary by what it will read."""

from __future__ import annotations

import argparse
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import DataError, run_program
from ligero.common.files import write_text
from ligero.tasks.texts import split_texts


def texts_of(path: Path) -> list[str]:
    """The distinct texts of one split, each on one line; a sentence given as words is joined by spaces."""
    return [text for text in dict.fromkeys(" ".join(text.split()) for text in split_texts(path)) if text]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--tasks-dir", required=True, type=Path, help="folder of prepared tasks (RESULTS/tasks)"
    )
    parser.add_argument("--out", required=True, type=Path, help="text file to write")
    args = parser.parse_args()
    splits = sorted(args.tasks_dir.glob("*/*.parquet"))
    if not splits:
        raise DataError(args.tasks_dir, None, "no prepared task here.", "Run the rule prepare_task first.")
    write_text(args.out, "".join(f"{text}\n" for path in splits for text in texts_of(path)))


if __name__ == "__main__":
    run_program(main)
