"""One small reader a published format; `read` picks it by the task's setting.

A reader is a function `(path, context) -> Iterator[Example]`. It is strict: whatever does not fit the format is a
DataError with file and line, what was expected and how to mend it. To add a format, write such a function in a file
of its own and name it in READERS (and in `ligero.settings.tasks.Reader`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ligero.settings.tasks import Reader
from ligero.tasks.examples import Example
from ligero.tasks.readers.conll2002 import read_conll2002
from ligero.tasks.readers.conllu import read_conllu
from ligero.tasks.readers.context import ReaderContext
from ligero.tasks.readers.mldoc import read_mldoc
from ligero.tasks.readers.pawsx import read_pawsx
from ligero.tasks.readers.squad import read_squad
from ligero.tasks.readers.table import read_table
from ligero.tasks.readers.xnli import read_xnli

READERS: dict[Reader, Callable[[Path, ReaderContext], Iterator[Example]]] = {
    "mldoc": read_mldoc,
    "pawsx": read_pawsx,
    "xnli": read_xnli,
    "conllu": read_conllu,
    "conll2002": read_conll2002,
    "squad": read_squad,
    "table": read_table,
}

GLOBAL_IDS: frozenset[Reader] = frozenset({"mldoc", "conllu", "squad"})
"""Formats whose ids name the same thing in every file; the others number each file anew."""

__all__ = ["GLOBAL_IDS", "READERS", "ReaderContext", "read"]


def read(reader: Reader, path: Path, context: ReaderContext) -> Iterator[Example]:
    """Read one file of a split."""
    return READERS[reader](path, context)
