"""Tables as LaTeX that fits a page: booktabs, the best figures in bold, small intervals beside their figures, notes below.

Needs the packages booktabs and adjustbox; where a table has more than `ROWS_OF_A_PAGE` rows longtable, and pdflscape where it is too
wide for an upright page.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from string import ascii_lowercase

import pandas as pd

from ligero.efficiency.truncation import truncate

ESCAPES = {
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
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}
ROWS_OF_A_PAGE = 45
INTERVAL = "_interval"
HIGHER_IS_BETTER = re.compile(
    r"^(?!(.*_)?less_)(.*_)?(accuracy|f1|exact_match|score|gain|hypervolume|retention|speedup|inferences_per_second)$"
)
"""Of `less_validation_score`, what halving loses, the lowest is best."""
KEYS = ("task", "cost", "metric")
"""Rows that agree in these are compared with each other; in a table without them all are."""
NAMES = ("model", "dataset", "source", "stage", "vocabulary")
"""Columns whose cells carry the marks of notes, the first that is there."""
NUMBER = re.compile(r"[+-]?[\d.,]+(e[+-]?\d+)?[xMK]?")
TINY = 5
"""Points of the font of intervals."""
UPRIGHT, LANDSCAPE = 345, 598
"""Points that a line of A4 text has in the class article, upright and across."""
HEADER_WIDTH = 12
"""Characters after which a column's name may continue on another line."""


def to_latex(frame: pd.DataFrame) -> str:
    """A `tabular` no wider than the text, or a `longtable`, with its notes below."""
    rows = [[text_of(cell) for cell in row] for row in frame.itertuples(index=False, name=None)]
    table = _Table(list(map(str, frame.columns)), rows)
    table.take_out_what_is_everywhere()
    table.turn_notes_into_marks()
    bold = table.best()
    return table.written(bold)


def text_of(cell: object) -> str:
    """A cell as it is printed; what is not printed already is truncated like all figures."""
    if cell is None or cell != cell:  # NaN is the only value unequal to itself
        return ""
    return str(truncate(cell, 4)) if isinstance(cell, float) else str(cell)


def escaped(text: str) -> str:
    """Text that LaTeX prints as it is."""
    return "".join(ESCAPES.get(character, character) for character in text)


@dataclass
class _Table:
    """A table on its way to LaTeX.

    Attributes:
        below: what is said below it, in order.
        marks: of each row, letters that point to notes.
    """

    columns: list[str]
    rows: list[list[str]]
    below: list[str] = field(default_factory=list)
    marks: dict[int, str] = field(default_factory=dict)

    def cells(self, column: str) -> list[str]:
        place = self.columns.index(column)
        return [row[place] for row in self.rows]

    def drop(self, column: str) -> None:
        place = self.columns.index(column)
        del self.columns[place]
        for row in self.rows:
            del row[place]

    def take_out_what_is_everywhere(self) -> None:
        """Empty columns go; in tables of several rows what every row says is moved below: the scale, the processor, the date."""
        for column in list(self.columns):
            values = set(self.cells(column))
            if values == {""}:
                self.drop(column)
            elif len(values) == 1 and len(self.rows) > 1 and column not in (*NAMES, "notes"):
                (value,) = values
                self.below.append(f"{column.replace('_', ' ')}: {value}")
                self.drop(column)

    def turn_notes_into_marks(self) -> None:
        """Each note once below the table; letters at the rows that it is about, none where it is about all."""
        if "notes" not in self.columns:
            return
        about: dict[str, list[int]] = defaultdict(list)
        for number, notes in enumerate(self.cells("notes")):
            for note in filter(None, notes.split("; ")):
                about[note].append(number)
        self.drop("notes")
        letters = iter(
            [
                *ascii_lowercase,
                *(f"a{letter}" for letter in ascii_lowercase),
                *map(str, range(1, len(about) + 1)),
            ]
        )
        for note, numbers in about.items():
            if len(numbers) == len(self.rows):
                self.below.append(note)
                continue
            letter = next(letters)
            for number in numbers:
                self.marks[number] = f"{self.marks[number]},{letter}" if number in self.marks else letter
            self.below.append(rf"\textsuperscript{{{letter}}} {note}")

    def best(self) -> set[tuple[int, str]]:
        """Row and column of the highest figures, of rows that can be compared; what needs no model does not take part."""
        keys = [self.cells(key) for key in KEYS if key in self.columns]
        regimes = self.cells("regime") if "regime" in self.columns else [""] * len(self.rows)
        found: set[tuple[int, str]] = set()
        for column in self.columns:
            if not HIGHER_IS_BETTER.search(column):
                continue
            groups: dict[tuple[str, ...], list[tuple[float, int]]] = defaultdict(list)
            for number, cell in enumerate(self.cells(column)):
                if regimes[number] != "baseline" and (
                    figure := re.fullmatch(r"([+-]?\d+(?:\.\d+)?)x?", cell)
                ):
                    groups[tuple(key[number] for key in keys)].append((float(figure[1]), number))
            for figures in groups.values():
                highest = max(value for value, _ in figures)
                if len(figures) > 1:
                    found |= {(number, column) for value, number in figures if value == highest}
        return found

    def written(self, bold: set[tuple[int, str]]) -> str:
        shown = [column for column in self.columns if not self._is_beside_its_figure(column)]
        named = next((name for name in NAMES if name in shown), shown[0] if shown else "")
        body = [
            _row(self._cell(number, column, (number, column) in bold, column == named) for column in shown)
            for number in range(len(self.rows))
        ]
        kinds = "".join("r" if _is_numeric(self.cells(column)) else "l" for column in shown)
        head = _row(map(_header, shown))
        below = [_escaped_note(line) for line in self.below]
        notes = (
            [r"\par\smallskip", r"\parbox{\linewidth}{\footnotesize " + r" \\ ".join(below) + "}"]
            if below
            else []
        )
        if len(self.rows) <= ROWS_OF_A_PAGE:
            lines = [
                r"% needs \usepackage{booktabs,adjustbox}",
                r"\begin{adjustbox}{max width=\linewidth}",
                rf"\begin{{tabular}}{{{kinds}}}",
                r"\toprule", head, r"\midrule", *body, r"\bottomrule",
                r"\end{tabular}",
                r"\end{adjustbox}",
            ]  # fmt: skip
        else:
            size, fits = _size(*self._widths(shown))
            lines = [
                r"% needs \usepackage{booktabs,longtable}" if fits else r"% needs \usepackage{booktabs,longtable,pdflscape}",
                *([] if fits else [r"\begin{landscape}"]),
                rf"{{{size}\setlength{{\tabcolsep}}{{3pt}}",
                rf"\begin{{longtable}}{{{kinds}}}",
                r"\toprule", head, r"\midrule", r"\endhead", r"\bottomrule", r"\endfoot", *body,
                r"\end{longtable}}",
            ]  # fmt: skip
            notes = [*notes, *([] if fits else [r"\end{landscape}"])]
        return "\n".join([*lines, *notes]) + "\n"

    def _is_beside_its_figure(self, column: str) -> bool:
        return column.endswith(INTERVAL) and column.removesuffix(INTERVAL) in self.columns

    def _cell(self, number: int, column: str, bold: bool, named: bool) -> str:
        text = escaped(self.rows[number][self.columns.index(column)])
        if bold:
            text = rf"\textbf{{{text}}}"
        if f"{column}{INTERVAL}" in self.columns and (
            ends := self.rows[number][self.columns.index(f"{column}{INTERVAL}")]
        ):
            text = rf"{text} {{\tiny {escaped(ends)}}}"
        if named and number in self.marks:
            text = rf"{text}\textsuperscript{{{self.marks[number]}}}"
        return text

    def _widths(self, shown: Sequence[str]) -> tuple[int, int]:
        """Characters of a row: of its figures and words, and of its small intervals."""
        plain = small = 0
        for column in shown:
            cells = max((len(cell) for cell in self.cells(column)), default=0)
            plain += max(cells, *map(len, _lines(column))) + 1
            ends = f"{column}{INTERVAL}"
            small += max((len(cell) for cell in self.cells(ends)), default=0) if ends in self.columns else 0
        return plain, small


def _row(cells: Iterable[str]) -> str:
    return _after_break(" & ".join(cells)) + r" \\"


def _after_break(line: str) -> str:
    r"""A line behind a `\\`, which would take a `[` or a `*` for its own."""
    return f"{{}}{line}" if line.startswith(("[", "*")) else line


def _escaped_note(line: str) -> str:
    mark = re.match(r"\\textsuperscript\{\w+\} ", line)
    return mark[0] + escaped(line[mark.end() :]) if mark else _after_break(escaped(line))


def _size(plain: int, small: int) -> tuple[str, bool]:
    """The largest font in which a row fits the text of an upright A4 page, and whether one does.

    Args:
        plain: characters in that font, which take about half of its size each.
        small: characters that are tiny in any.
    """
    for name, points in ((r"\small", 9), (r"\footnotesize", 8), (r"\scriptsize", 7), (r"\tiny", TINY)):
        if 0.5 * (plain * points + small * TINY) <= UPRIGHT:
            return name, True
    return (r"\scriptsize" if 0.5 * (plain * 7 + small * TINY) <= LANDSCAPE else r"\tiny"), False


def _lines(column: str) -> list[str]:
    """A column's name in lines of at most HEADER_WIDTH characters, where its words allow that."""
    lines: list[str] = []
    for word in column.split("_"):
        if lines and len(lines[-1]) + 1 + len(word) <= HEADER_WIDTH:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _header(column: str) -> str:
    lines = [escaped(line) for line in _lines(column)]
    broken = r" \\ ".join(lines)
    return lines[0] if len(lines) == 1 else rf"\shortstack{{{broken}}}"


def _is_numeric(cells: Sequence[str]) -> bool:
    filled = [cell for cell in cells if cell]
    return bool(filled) and all(NUMBER.fullmatch(cell) for cell in filled)
