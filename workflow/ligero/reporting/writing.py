"""Tables to files: CSV for programs, Markdown for readers, LaTeX for papers."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from ligero.common.files import write_text

LATEX_ESCAPES = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


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


def to_latex(frame: pd.DataFrame) -> str:
    """A `tabular` with the rules of the package booktabs; columns of figures are set to the right."""
    head, *body = _cells(frame, lambda text: "".join(LATEX_ESCAPES.get(char, char) for char in text))
    kinds = "".join("r" if _is_numeric([row[column] for row in body]) else "l" for column in range(len(head)))
    lines = [rf"\begin{{tabular}}{{{kinds}}}", r"\toprule", " & ".join(head) + r" \\", r"\midrule"]
    lines += [" & ".join(row) + r" \\" for row in body]
    return "\n".join(["% needs \\usepackage{booktabs}", *lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def write_table(frame: pd.DataFrame, csv: Path, markdown: Path, latex: Path) -> None:
    """Write a table in its three forms."""
    write_text(csv, to_csv(frame))
    write_text(markdown, to_markdown(frame))
    write_text(latex, to_latex(frame))


def _cells(frame: pd.DataFrame, escape: Callable[[str], str]) -> list[list[str]]:
    rows = [list(frame.columns), *frame.itertuples(index=False, name=None)]
    return [[escape(_text(cell)) for cell in row] for row in rows]


def _text(cell: object) -> str:
    if cell is None or cell != cell:  # NaN is the only value unequal to itself
        return ""
    return f"{cell:.4f}" if isinstance(cell, float) else str(cell)


def _pipes(cells: list[str], widths: list[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"


def _is_numeric(cells: list[str]) -> bool:
    filled = [cell for cell in cells if cell]
    return bool(filled) and all(re.fullmatch(r"[+-]?[\d.,]+(e[+-]?\d+)?[xMK]?", cell) for cell in filled)
