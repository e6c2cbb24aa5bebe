"""How benchmarks hand out what they measured."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import _workflow  # noqa: F401
from ligero.common.files import atomic_path


def write_measurements(out: Path, columns: Sequence[str], lines: Iterable[Sequence[Any]]) -> None:
    """Write a table as CSV, and print it."""
    table = [columns, *lines]
    with atomic_path(out) as path, path.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows(table)
    for line in table:
        print(*line, sep="  ")
