"""Errors that a user can act on: each says where, what was found, what was expected and how to correct it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
        remedy: what the user can do about it.
    """

    def __init__(self, path: Path | str, line: int | None, problem: str, remedy: str = "") -> None:
        place = f"{path}:{line}" if line is not None else str(path)
        super().__init__(f"{place}: {problem}" + (f" {remedy}" if remedy else ""))
        self.path, self.line, self.problem, self.remedy = Path(path), line, problem, remedy


class MismatchError(LigeroError):
    """Two artefacts that must belong together do not (a cache and its model, a plan and its configuration)."""


class CombinedError(LigeroError):
    """Everything that is wrong at once, so that the user corrects it in one go; printed as one `error:` line each."""

    def __init__(self, errors: Sequence[LigeroError]) -> None:
        super().__init__("\nerror: ".join(str(error) for error in errors))
        self.errors = tuple(errors)


def raise_together(errors: Sequence[LigeroError]) -> None:
    """Raise what was collected, each message once: nothing, the one error, or all of them as one."""
    single: dict[str, LigeroError] = {}
    for error in errors:
        for part in error.errors if isinstance(error, CombinedError) else (error,):
            single.setdefault(str(part), part)
    if len(single) == 1:
        raise next(iter(single.values()))
    if single:
        raise CombinedError(list(single.values()))


@contextmanager
def naming(internal: Path | str, shown: Path | str) -> Iterator[None]:
    """Errors raised inside name the file that the user knows, not the one that the program works on meanwhile."""
    try:
        yield
    except LigeroError as error:
        error.args = tuple(str(part).replace(str(internal), str(shown)) for part in error.args)
        raise
    except OSError as error:
        if error.filename is not None:
            error.filename = str(error.filename).replace(str(internal), str(shown))
        elif error.strerror is not None:  # of a write or a flush
            error.filename = str(shown)
        raise


_AGAIN = "What is finished is safe"
_SPACE = f"Free space, or put results_dir elsewhere, and run the same command. {_AGAIN}."
SYSTEM_REMEDIES = {
    "No space left on device": f"The disk is full, or allows no further files. {_SPACE}",
    "Disk quota exceeded": _SPACE,
    "Read-only file system": f"Once it can be written, run the same command. {_AGAIN}.",
    "Input/output error": f"The disk, or the server of a network file system, failed. Once it works, run the same command. {_AGAIN}.",
    "Permission denied": "Another user owns it, or its folder. Correct that, and run the same command.",
}
"""What the system says of a file that cannot be read or written, to what to do."""


def system_error(path: str, said: str) -> str:
    """The message for a file that the operating system refused, with what to do where that is known."""
    return f"{path}: {said}. {SYSTEM_REMEDIES.get(said, '')}".rstrip()


def run_program(main: Callable[[], int | None]) -> None:
    """Run a program's `main`; an error that a user can act on ends it with its message on standard error and exit status 2."""
    try:
        sys.exit(main() or 0)
    except LigeroError as error:
        _say(f"error: {error}")
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        if error.filename is None or error.strerror is None:
            raise
        _say(f"error: {system_error(str(error.filename), error.strerror)}")
        sys.exit(2)


def _say(message: str) -> None:
    """Print on standard error, on a line of its own where progress bars are open."""
    if bars := sys.modules.get("tqdm"):
        bars.tqdm.write(message, file=sys.stderr)
    else:
        print(message, file=sys.stderr)
