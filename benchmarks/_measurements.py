"""What the benchmarks share: their arguments, the programs that they start, and how they hand out what they measured."""

from __future__ import annotations

import argparse
import csv
import math
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import _workflow  # noqa: F401
from ligero.common.errors import LigeroError
from ligero.common.files import atomic_path
from ligero.efficiency.processor import processor

WHERE = ("device", "threads", "torch", "commit")
"""Columns that follow those of every table."""


def number(kind: type[int] | type[float], least: float, most: float = math.inf) -> Callable[[str], Any]:
    """The argparse type of a number from `least` to `most`."""

    def checked(text: str) -> int | float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most or value == math.inf:
            bounds = f"of at least {least}" if most == math.inf else f"from {least} to {most}"
            name = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"expected {name} {bounds}, found '{text}'")
        return value

    return checked


def output_of(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """What a program prints.

    Raises:
        LigeroError: it failed; with what it wrote to standard error.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise LigeroError(
            f"{' '.join(command)} ended with exit status {done.returncode}:\n{done.stderr[-3000:]}"
        )
    return done.stdout


def write_measurements(
    out: Path,
    columns: Sequence[str],
    lines: Iterable[Sequence[Any]],
    *,
    threads: int | str = 1,
    device: str | None = None,
) -> None:
    """Write a table as CSV with where it was measured, and print it.

    Args:
        threads: of each contender; text where they have several numbers of them.
        device: None is the processor.
    """
    where = (device or _processor(), threads, version("torch"), _commit())
    table = [columns, *lines]
    with atomic_path(out) as path, path.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows(
            [*line, *more] for line, more in zip(table, [WHERE, *[where] * (len(table) - 1)], strict=True)
        )
    for line in [*table, [f"{name} {value}" for name, value in zip(WHERE, where, strict=True)]]:
        print(*line, sep="  ")


def _processor() -> str:
    """With the instructions that decide how fast it is: one name has several generations."""
    found = processor()
    return f"{found['name']} ({' '.join(found['flags'])})"


def _commit() -> str:
    """Of this checkout, `-dirty` where it was changed; empty where git knows of none."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        return ""
