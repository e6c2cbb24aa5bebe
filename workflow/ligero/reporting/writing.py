"""Tables to files: CSV for programs, Markdown for readers, LaTeX for papers; and the record of their digests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from ligero.common.files import write_text
from ligero.common.records import write_listing
from ligero.reporting.latex import text_of, to_latex


def to_csv(frame: pd.DataFrame) -> str:
    """Comma-separated text; empty cells are empty."""
    text = frame.to_csv(index=False, lineterminator="\n")
    assert isinstance(text, str)
    return text


def to_markdown(frame: pd.DataFrame) -> str:
    """A table with pipes, columns padded so that it also reads as plain text."""
    head, *body = _cells(frame, lambda text: text.replace("|", r"\|").replace("\n", " "))
    widths = [max(len(row[column]) for row in (head, *body)) for column in range(len(head))]
    lines = [_pipes(head, widths), _pipes(["-" * width for width in widths], widths)]
    return "\n".join([*lines, *(_pipes(row, widths) for row in body)]) + "\n"


def write_table(frame: pd.DataFrame, csv: Path) -> None:
    """Write a table in its three forms, CSV, and Markdown and LaTeX beside it, and the JSON record that lists them."""
    write_text(csv, to_csv(frame))
    write_text(csv.with_suffix(".md"), to_markdown(frame))
    write_text(csv.with_suffix(".tex"), to_latex(frame))
    write_listing(csv.with_suffix(".json"), [csv.with_suffix(kind).name for kind in (".csv", ".md", ".tex")])


def _cells(frame: pd.DataFrame, escape: Callable[[str], str]) -> list[list[str]]:
    rows = [list(frame.columns), *frame.itertuples(index=False, name=None)]
    return [[escape(text_of(cell)) for cell in row] for row in rows]


def _pipes(cells: list[str], widths: list[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"
