"""Errors that a user can act on: each says where, what was expected and how to mend it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path


class LigeroError(Exception):
    """Base of every error whose message is meant for the user; programs print it without a traceback."""


class ConfigurationError(LigeroError):
    """A key of the configuration is unknown, missing, impossible or points nowhere."""


class DataError(LigeroError):
    """An input file does not hold what its format promises.

    Args:
        path: the file at fault.
        line: 1-based line number, or None where the format has no lines.
        problem: what was found and what was expected.
        mend: what the user can do about it.
    """

    def __init__(self, path: Path | str, line: int | None, problem: str, mend: str = "") -> None:
        place = f"{path}:{line}" if line is not None else str(path)
        super().__init__(f"{place}: {problem}" + (f" {mend}" if mend else ""))
        self.path, self.line, self.problem, self.mend = Path(path), line, problem, mend


class MismatchError(LigeroError):
    """Two artefacts that must belong together do not (a cache and its model, a plan and its configuration)."""


def run_program(main: Callable[[], int | None]) -> None:
    """Run a program's `main`; a LigeroError ends it with its message on standard error and exit status 2."""
    try:
        sys.exit(main() or 0)
    except LigeroError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
