"""Atomic files and folders: what has its final name is complete, whatever moment a job was killed or the power cut at."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ligero.common.errors import ConfigurationError, DataError, LigeroError, naming
from ligero.common.text import read_text

_HOST = re.sub(r"[^\w-]", "-", socket.gethostname())[:32]
_TEMPORARY = re.compile(r"\..+\.(?P<host>[\w-]+)\.(?P<process>\d+)\.\w{8}")
"""Names of what a process is writing; they say which process of which machine that is."""
_WEEK = 7 * 86_400
"""Seconds without a change after which a process of another machine is believed to have ended."""


class FullDiskError(LigeroError):
    """A file cannot be written because there is no space for it."""


def user_path(written: str) -> Path:
    """A path as a user writes it: `~` and `~USER` are home folders.

    Raises:
        ConfigurationError: no such user.
    """
    try:
        return Path(written).expanduser()
    except RuntimeError as error:
        home = written.partition("/")[0]
        raise ConfigurationError(
            f"{written}: no home folder is known for '{home}'; write the whole path, or ./{home}"
        ) from error


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its name when the block ends well, and vanishes otherwise.

    Errors raised inside name `path`.

    Raises:
        FullDiskError: there is no space for it.
    """
    target = Path(path)
    temporary = _beside(target, _empty_file)
    try:
        with _space(target, temporary), naming(temporary, target):
            yield temporary
            _to_disk(temporary)
            temporary.chmod(0o644)
            temporary.replace(target)
            _to_disk(target.parent)
    finally:
        with suppress(OSError):  # of a disk that cannot be written any more
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_directory(path: Path | str) -> Iterator[Path]:
    """Yield an empty folder beside `path` that replaces `path` when the block ends well, and vanishes otherwise.

    Errors raised inside name `path`.

    Raises:
        FullDiskError: there is no space for it.
    """
    target = Path(path)
    staging = _beside(target, tempfile.mkdtemp)
    try:
        with _space(target, staging), naming(staging, target):
            yield staging
            # Libraries that write through private temporary files (safetensors) leave files that a group cannot read.
            for made in [staging, *staging.rglob("*")]:
                if not made.is_symlink():
                    made.chmod(0o755 if made.is_dir() else 0o644)
                    _to_disk(made)
            if target.exists():
                retired = _beside(target, tempfile.mkdtemp)
                target.rename(retired / "old")
                try:
                    staging.rename(target)
                except OSError:
                    (retired / "old").rename(target)
                    raise
                finally:
                    if target.exists():
                        shutil.rmtree(retired, ignore_errors=True)
            else:
                staging.rename(target)
            _to_disk(target.parent)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _beside(target: Path, make: Callable[..., str]) -> Path:
    """A file or folder beside `target` that nobody else uses, in the name of this process."""
    with _space(target):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            return Path(make(prefix=f".{target.name}.{_HOST}.{os.getpid()}.", dir=target.parent))
        except OSError as error:
            error.filename = str(target)
            raise


def _empty_file(**place: Any) -> str:
    handle, name = tempfile.mkstemp(**place)
    os.close(handle)
    return name


def remove_temporaries(folder: Path) -> int:
    """Remove what writers below a folder left unfinished because they were killed; what a living process writes stays.

    Of another machine's processes nothing is known: what they write counts as left when it has not changed for a week.
    """
    removed = 0
    for place, folders, names in os.walk(folder):
        for name in [name for name in (*folders, *names) if name.startswith(".")]:
            path, found = Path(place, name), _TEMPORARY.fullmatch(name)
            if found and _abandoned(path, found["host"], int(found["process"])):
                if path.is_dir():
                    folders.remove(name)
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
                removed += 1
    return removed


def _abandoned(path: Path, host: str, process: int) -> bool:
    try:
        if host != _HOST:
            return time.time() - path.stat().st_mtime > _WEEK
        os.kill(process, 0)
    except (ProcessLookupError, FileNotFoundError):
        return True
    except PermissionError:  # it lives, and is somebody else's
        return False
    return _is_zombie(process)


def _is_zombie(process: int) -> bool:
    """Whether a process is dead, and its parent has not asked for its status yet (Linux)."""
    try:
        status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] == "Z"


@contextmanager
def _space(target: Path, unfinished: Path | None = None) -> Iterator[None]:
    """Say of a full disk what was to be written, how much of it was, and what to do; libraries raise all kinds of errors then."""
    try:
        yield
    except Exception as error:
        if isinstance(error, LigeroError) or not _says_full(error, target):
            raise
        written = sum(path.stat().st_size for path in _files(unfinished)) if unfinished else 0
        raise FullDiskError(full_disk(target, written)) from error


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else files_below(path)


def _says_full(error: Exception, target: Path) -> bool:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return "No space left on device" in str(error) or is_full(target.parent)


def is_full(folder: Path) -> bool:
    """Whether nothing more can be written there. False for a folder that cannot be examined."""
    try:
        status = os.statvfs(folder)
    except OSError:
        return False
    return status.f_bavail == 0 or (status.f_files > 0 and status.f_favail == 0)


def full_disk(target: Path, written: int | None = None) -> str:
    """The message for a full disk: what did not fit, and what to do.

    Args:
        written: bytes of it that did fit, where that is known.
    """
    folder = next(place for place in (target.absolute(), *target.absolute().parents) if place.is_dir())
    status = os.statvfs(folder)
    needed = "" if written is None else f": it needs more than the {written:,} bytes that were written of it"
    return (
        f"{target}: No space left on device{needed}; {status.f_bavail * status.f_frsize:,} bytes and {status.f_favail:,} files are free "
        "there (a quota may leave less). What is finished is safe. Free space, or put results_dir elsewhere, and run the same command."
    )


def _to_disk(path: Path) -> None:
    """Until the content of a file, or the names in a folder, would survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path | str, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as readable UTF-8 JSON, atomically."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def read_json(path: Path | str) -> Any:
    """Read JSON; a missing or malformed file is a DataError that names it."""
    text = read_text(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            path, error.lineno, f"not valid JSON: {error.msg}.", "Is the file truncated?"
        ) from error
    except RecursionError as error:
        raise DataError(path, None, "JSON nested too deeply to be read.") from error


def files_below(folder: Path | str) -> list[Path]:
    """Every file below a folder, in order; links to folders are followed, each folder once."""
    found: list[Path] = []
    seen: set[str] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        found += [Path(root, name) for name in names]
    return sorted(found)
