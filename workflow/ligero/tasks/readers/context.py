"""What a reader is told beside its file, and what it tells back."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ligero.common.errors import DataError
from ligero.settings.tasks import Columns


@dataclass
class ReaderContext:
    """Settings that a reader needs, and `notes`: how often each thing worth saying happened.

    Args:
        labels: the label set; a label outside it is an error.
        columns: column names, for the reader `table`.
        archives: archives of Reuters documents, for the reader `mldoc`.
        rcv_dir: the user's folder of Reuters documents, for the reader `mldoc`.
        keeps_ranges: whether multiword ranges are words of their own, for the reader `conllu`.
        left_out: examples that the files hold and the reader did not yield; they count where files are counted.
    """

    labels: tuple[str, ...] = ()
    columns: Columns = field(default_factory=Columns)
    archives: tuple[Path, ...] = ()
    rcv_dir: Path | None = None
    keeps_ranges: bool = False
    left_out: int = 0
    notes: Counter[str] = field(default_factory=Counter)

    def check_label(self, path: Path, line: int | None, label: str, where: str = "") -> str:
        """The label itself, when it is in the set.

        Raises:
            DataError: naming the label and the set.
        """
        if label in self.labels:
            return label
        place = f"{where}: " if where else ""
        raise DataError(
            path,
            line,
            f"{place}label {label!r} is not in the task's label set ({', '.join(self.labels)}).",
            "Mend the file, or add the label to the task's 'labels'.",
        )

    def check_text(self, text: str) -> str:
        """The text itself; empty ones occur in published machine translations and are counted, not dropped."""
        if not text.strip():
            self.notes["empty texts kept as they are"] += 1
        return text
