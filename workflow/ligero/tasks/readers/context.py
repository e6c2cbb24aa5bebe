"""What a reader is given beside its file, and what it reports."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from ligero.common.errors import DataError, raise_together
from ligero.common.hashing import digest_value
from ligero.common.text import is_blank
from ligero.settings.tasks import Columns
from ligero.tasks.delimited import QUOTED_CELLS, SWALLOWED_ROWS
from ligero.tasks.lines import NO_LINE_END, REPLACED, Problems
from ligero.tasks.sentences import UNENDED_SENTENCE

SHOWN_LINES = 50
"""Line numbers that one kind of problem is listed with."""
SHOWN_PROBLEMS = 25
"""Kinds of problems that are listed for one file."""

EMPTY_ANSWERS = "questions left out because all their answers are empty"
EMPTY_TEXTS = "empty texts kept as they are"
NULL_TEXTS = "texts that are only 'null', 'nan' or the like, kept as they are"
DOUBTFUL = frozenset(
    {EMPTY_TEXTS, NULL_TEXTS, QUOTED_CELLS, SWALLOWED_ROWS, UNENDED_SENTENCE, NO_LINE_END, REPLACED}
)
"""Notes that a user should see: they may be mistakes of the file."""

NO_TEXT = frozenset({"null", "nan", "none", "<na>", "#n/a"})
_NUMBERED = re.compile(
    r"(?:(?:s|q|d|id|sent|sentence|doc|document|row|line|text|example|question)[-_.]?)?\d{1,15}",
    re.IGNORECASE,
)


@dataclass
class ReaderContext:
    """Settings that a reader needs, `notes`: how often each thing worth saying happened, and `problems`: all bad rows.

    Args:
        labels: the label set; a label outside it is an error.
        columns: column names, for the readers `table` and `conll2002`.
        archives: archives of Reuters documents, for the reader `mldoc`.
        rcv_dir: the user's folder of Reuters documents, for the reader `mldoc`.
        keeps_ranges: whether multiword ranges are words of their own, for the reader `conllu`.
        drops_unanswerable: whether questions without an answer are left out, for the reader `squad`.
        left_out: examples that the files hold and the reader did not yield; they count where files are counted.
    """

    labels: tuple[str, ...] = ()
    columns: Columns = field(default_factory=Columns)
    archives: tuple[Path, ...] = ()
    rcv_dir: Path | None = None
    keeps_ranges: bool = False
    drops_unanswerable: bool = False
    left_out: int = 0
    notes: Counter[str] = field(default_factory=Counter)
    problems: Problems = field(default_factory=Problems)

    def check_label(self, path: Path, line: int | None, label: str, where: str = "") -> str:
        """The label itself when it is in the set; else a problem is noted."""
        if label not in self.labels:
            place = f"{where}: " if where else ""
            self.problems.add(
                path,
                line,
                f"{place}label {label!r} is not in the task's label set ({', '.join(self.labels)}).",
                f"{self._meant(label)}Correct the file, or add the label to the task's 'labels'.",
            )
        return label

    def _meant(self, label: str) -> str:
        """Which label may have been meant: case and white space apart first."""
        for known in self.labels:
            if label != known and unicodedata.normalize("NFC", label) == unicodedata.normalize("NFC", known):
                return f"It looks like {known!r} but has its accents as characters of their own, or the reverse (NFD and NFC). "
            if re.fullmatch(re.escape(known) + r"\.0+", label):
                return f"Did you mean {known!r}? (A spreadsheet or pandas made a decimal number of it.) "
        plain = {known.strip().casefold(): known for known in self.labels}
        close = get_close_matches(label.strip().casefold(), plain, n=1)
        return f"Did you mean {plain[close[0]]!r}? " if close else ""

    def check_text(self, text: str) -> str:
        """The text itself; empty ones occur in published machine translations and are counted, not dropped."""
        if is_blank(text):
            self.notes[EMPTY_TEXTS] += 1
        elif text.strip().lower() in NO_TEXT:
            self.notes[NULL_TEXTS] += 1
        return text

    def raise_problems(self) -> None:
        """Raise all bad rows that were found, equal problems together with their lines.

        Raises:
            DataError: one kind of problem.
            CombinedError: several.
        """
        grouped: dict[tuple[Path, str, str], list[int | None]] = {}
        for problem in self.problems:
            grouped.setdefault((problem.path, problem.problem, problem.remedy), []).append(problem.line)
        errors = [
            DataError(path, lines[0], problem + _further(lines[1:]), remedy)
            for (path, problem, remedy), lines in grouped.items()
        ]
        if left := errors[SHOWN_PROBLEMS:]:
            rows = sum(map(len, list(grouped.values())[SHOWN_PROBLEMS:]))
            errors[SHOWN_PROBLEMS:] = [
                DataError(left[0].path, left[0].line, f"{rows:,} more rows are wrong in other ways.")
            ]
        self.problems.clear()
        raise_together(errors)


def _further(lines: list[int | None]) -> str:
    """The other lines with the same problem."""
    if not lines:
        return ""
    times = f" ({len(lines) + 1:,} times"
    numbers = [str(line) for line in lines[:SHOWN_LINES] if line is not None]
    if not numbers:
        return f"{times})"
    more = f" and {len(lines) - SHOWN_LINES:,} more" if len(lines) > SHOWN_LINES else ""
    return f"{times}, also on line{'s' * (len(lines) > 1)} {', '.join(numbers)}{more})"


def is_numbered(name: str) -> bool:
    """Whether an id or a group is a number, at most with a short word before it (`17`, `s17`, `sent_17`).

    Such names say which one it is within its file only: another file has its own 17. Longer numbers (posts of social networks)
    are names that hold everywhere.
    """
    return _NUMBERED.fullmatch(name) is not None


def folded(content: Iterable[str | None]) -> str:
    """Texts but for case and white space."""
    return "\x1f".join(" ".join((text or "").casefold().split()) for text in content)


def content_group(content: Iterable[str | None]) -> str:
    """A group for what no document holds together: named after what it says, so that rows beside it may come and go."""
    return f"text-{digest_value(folded(content))}"
