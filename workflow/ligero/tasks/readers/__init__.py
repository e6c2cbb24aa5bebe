"""One small reader for each format; `read` picks it by the task's setting.

A reader is a function `(path, context) -> Iterator[Example]`. It is strict: what does not fit the format is a problem
with file and line, what was expected and how to correct it; bad rows are collected in `context.problems` and raised together at the
end of the file. To add a format, write such a function in a file of its own and name it in READERS, and in `Reader` and
`TYPE_OF_READER` of `ligero.settings.tasks`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ligero.common.errors import DataError
from ligero.settings.tasks import Reader
from ligero.tasks.examples import Example
from ligero.tasks.readers.conll2002 import read_conll2002
from ligero.tasks.readers.conllu import read_conllu
from ligero.tasks.readers.context import ReaderContext, is_numbered
from ligero.tasks.readers.mldoc import read_mldoc
from ligero.tasks.readers.pawsx import read_pawsx
from ligero.tasks.readers.squad import read_squad
from ligero.tasks.readers.table import read_table
from ligero.tasks.readers.xnli import read_xnli


@dataclass(frozen=True)
class Format:
    """What there is to know about a format."""

    read: Callable[[Path, ReaderContext], Iterator[Example]]
    has_global_ids: bool = False
    """Whether ids name the same thing in every file, unless they are mere numbers; the other formats number each file anew."""
    group: str = "document"
    """What examples are grouped by when a share of a file is taken."""


READERS: dict[Reader, Format] = {
    "mldoc": Format(read_mldoc, has_global_ids=True),
    "pawsx": Format(read_pawsx, group="first sentence"),
    "xnli": Format(read_xnli, group="premise"),
    "conllu": Format(read_conllu, has_global_ids=True),
    "conll2002": Format(read_conll2002),
    "squad": Format(read_squad, has_global_ids=True, group="article"),
    "table": Format(read_table, has_global_ids=True, group="text"),
}

__all__ = ["READERS", "Format", "ReaderContext", "is_global", "read"]


def read(reader: Reader, path: Path, context: ReaderContext) -> Iterator[Example]:
    """Read one file of a split.

    Raises:
        DataError: one kind of problem in the file.
        CombinedError: several; all of them are listed.
    """
    try:
        yield from READERS[reader].read(path, context)
    except DataError as error:
        context.problems.append(error)
    context.raise_problems()


def is_global(reader: Reader, identity: str) -> bool:
    """Whether an example's id names it in every file of this format."""
    return READERS[reader].has_global_ids and not is_numbered(identity)
