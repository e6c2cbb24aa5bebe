"""One member out of an archive (zip, tar, tar.gz, tar.bz2, tar.xz, tar.zst), streamed, never unpacked whole."""

from __future__ import annotations

import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import IO

import zstandard

from ligero.common.compression import without_compression
from ligero.common.errors import DataError

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")


def is_archive(path: Path | str) -> bool:
    """Whether the name is that of an archive we can read."""
    return str(path).lower().endswith(ARCHIVE_SUFFIXES)


def _is_zip(archive: Path) -> bool:
    return archive.name.lower().endswith(".zip")


def safe_member(name: str) -> bool:
    """Whether a member's name stays below the folder it would be unpacked to."""
    path = PurePosixPath(name)
    return (
        bool(name)
        and not path.is_absolute()
        and ".." not in path.parts
        and "\\" not in name
        and "\0" not in name
    )


@contextmanager
def _readable(archive: Path) -> Iterator[None]:
    """Turn whatever the libraries raise about a damaged archive into a DataError."""
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(archive, None, "no such file.") from error
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        lzma.LZMAError,
        zlib.error,
        zstandard.ZstdError,
        EOFError,
        OSError,
        RuntimeError,
    ) as error:
        raise DataError(
            archive, None, f"cannot be read as an archive: {error}.", "Fetch it again."
        ) from error


class MemberStream:
    """The bytes of one member."""

    def __init__(self, archive: Path, stream: IO[bytes]) -> None:
        self._archive, self._stream = archive, stream

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, or all; DataError where the archive is damaged or ends early."""
        with _readable(self._archive):
            return self._stream.read(size)


def members(archive: Path) -> Iterator[tuple[str, int, MemberStream]]:
    """Yield (name, size in bytes, stream) of every regular file of an archive, in archive order.

    Each stream must be read before the next member is asked for. Links and devices are passed over, and a name that
    leads out of the archive's own folder is refused.

    Raises:
        DataError: not a readable archive, an encrypted or damaged one, or an unsafe name.
    """
    kind = _members_of_zip if _is_zip(archive) else _members_of_tar
    if not is_archive(archive):
        expected = ", ".join(ARCHIVE_SUFFIXES)
        raise DataError(archive, None, f"unknown kind of archive; expected one of {expected}.")
    with _readable(archive):
        for name, size, stream in kind(archive):
            if not safe_member(name):
                problem = f"unsafe member name {name!r} (absolute, or with '..')."
                raise DataError(archive, None, problem, "Do not use this archive.")
            yield name, size, MemberStream(archive, stream)


def _members_of_zip(archive: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    with zipfile.ZipFile(archive) as opened:
        for entry in opened.infolist():
            is_link = stat.S_ISLNK(entry.external_attr >> 16)
            if not entry.is_dir() and not entry.filename.endswith("\\") and not is_link:
                # Some programs of Windows write backslashes, against the format's specification (APPNOTE 4.4.17).
                with opened.open(entry) as stream:
                    yield entry.filename.replace("\\", "/"), entry.file_size, stream


def _members_of_tar(archive: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    with (
        archive.open("rb") as raw,
        tarfile.open(fileobj=without_compression(raw), mode="r|") as opened,
    ):
        for entry in opened:
            stream = opened.extractfile(entry) if entry.isreg() else None
            if stream is not None:
                yield entry.name.removeprefix("./"), entry.size, stream


@contextmanager
def open_member(archive: Path, member: str) -> Iterator[tuple[int, MemberStream]]:
    """Open one file of an archive as (size in bytes, stream); of two with one name in a tar the first, since tars are not read further.

    Raises:
        DataError: the archive has no such member, a zip has two of that name, or it cannot be read.
    """
    member = member.replace("\\", "/")
    if not safe_member(member):
        raise DataError(archive, None, f"unsafe member name {member!r} (absolute, or with '..').")
    if _is_zip(archive):
        with _readable(archive), zipfile.ZipFile(archive) as opened:
            times = sum(entry.filename.replace("\\", "/") == member for entry in opened.infolist())
        if times > 1:
            problem = f"holds {times} files named '{member}', of which programs read different ones."
            raise DataError(archive, None, problem, "Pack it anew with the right one.")
    seen: list[str] = []
    for name, size, stream in members(archive):
        if name == member:
            yield size, stream
            return
        seen.append(name)
    raise DataError(
        archive,
        None,
        f"has no file '{member}'; "
        + (
            f"nearest: {', '.join(near)}."
            if (near := get_close_matches(member, seen))
            else f"it begins with: {', '.join(seen[:10]) or 'nothing'}."
        ),
        "Correct 'archive.member'.",
    )
