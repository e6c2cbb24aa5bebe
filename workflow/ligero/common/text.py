"""Text files as people have them: with or without a byte order mark, or in another encoding, or no text at all."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from ligero.common.errors import DataError

LFS_POINTER = b"version https://git-lfs.github.com/spec/"

_HTML = ("an HTML page", "A download that needed a login or another address? Fetch the file itself.")
_OTHER_KINDS = (
    (b"\x1f\x8b", "a gzip file", "Unpack it: gunzip FILE"),
    (b"BZh9", "a bzip2 file", "Unpack it: bunzip2 FILE"),
    (b"\xfd7zXZ", "an xz file", "Unpack it: unxz FILE"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file", "Unpack it: unzstd FILE"),
    (
        b"PK\x03\x04",
        "a ZIP archive (or a workbook such as .xlsx)",
        "Unpack it, or save the sheet as CSV in UTF-8.",
    ),
    (b"\xd0\xcf\x11\xe0", "an old Office file such as .xls", "Save the sheet as CSV in UTF-8."),
    (b"PAR1\x15", "a Parquet file", "Write it as CSV or JSON lines."),
    (b"%PDF-", "a PDF", ""),
    (b"<!DOCTYPE html", *_HTML),
    (b"<!doctype html", *_HTML),
    (b"<html", *_HTML),
)


_BLANK = re.compile("[\\s\u00ad\u200b-\u200f\u2060\ufeff]*")


def is_blank(text: str) -> bool:
    """Whether a text shows nothing: white space, and signs that only join, part or direct others."""
    return _BLANK.fullmatch(text) is not None


def read_text(path: Path | str) -> str:
    """The whole file as text, without a leading byte order mark.

    Raises:
        DataError: no such file, a folder, not text (archives, workbooks, Git LFS pointers, HTML pages are called by their name), or
            another encoding than UTF-8 (with line, byte offset and how to convert it).
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(path, None, "no such file.") from error
    except IsADirectoryError as error:
        raise DataError(path, None, "is a folder; expected a file.") from error
    return decoded(path, raw)


def decoded(path: Path, raw: bytes, first: int = 1) -> str:
    """The text of a file, or of some of its lines, without a leading byte order mark.

    Args:
        first: number of the first of these lines.

    Raises:
        DataError: as `read_text`, for what is not text in UTF-8.
    """
    if first == 1:
        refuse_other_kinds(path, raw)
    text_of = raw.removeprefix(codecs.BOM_UTF8)
    try:
        if b"\0" in raw:
            start = raw.index(b"\0")
            raise UnicodeDecodeError("utf-8", raw, start, start + 1, "zero byte")
        return text_of.decode("utf-8")
    except UnicodeDecodeError as error:
        start = error.start + (len(raw) - len(text_of) if b"\0" not in raw else 0)
        line = raw[:start].count(b"\n") + first
        found = f"byte 0x{raw[start]:02x} at byte offset {start:,}"
        if error.reason == "unexpected end of data":
            raise DataError(
                path,
                line,
                f"ends inside a character ({found}): the file is truncated.",
                "Fetch or write it again.",
            ) from error
        encoding = _likely_encoding(raw)
        if raw[start] == 0 and encoding is None:
            problem, remedy = f"a NUL byte at byte offset {start:,}.", "It is no text file, or a damaged one."
            raise DataError(path, line, problem, remedy) from error
        remedy = (
            f"Convert it, for example with: iconv -f {encoding} -t utf-8 FILE > FILE.new" if encoding else ""
        )
        raise DataError(path, line, f"not UTF-8: {found}.", remedy or "It is no text file.") from error


def refuse_other_kinds(path: Path | str, start: bytes) -> None:
    """Refuse archives, workbooks, Git LFS pointers, HTML pages and others by their first bytes, whatever their names.

    Raises:
        DataError: it is one of these; the message says how to make text of it.
    """
    refuse_lfs_pointer(path, start)
    for magic, what, remedy in _OTHER_KINDS:
        if start.startswith(magic):
            raise DataError(path, None, f"is {what}, not text.", remedy)


def refuse_lfs_pointer(path: Path | str, start: bytes) -> None:
    """Refuse a file that only says where Git LFS keeps the real one; `start`: its first bytes.

    Raises:
        DataError: it is such a pointer.
    """
    if start.startswith(LFS_POINTER):
        raise DataError(
            path,
            None,
            "is a Git LFS pointer, not the file itself.",
            "Run `git lfs pull` where it was cloned, or download it.",
        )


def _likely_encoding(raw: bytes) -> str | None:
    """What a text that is not UTF-8 was probably written in; None where it is no text."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if zeros := raw.count(b"\0"):
        if 3 * zeros < len(raw):
            return None
        return "utf-16le" if raw[1:2] == b"\0" else "utf-16be"
    return "windows-1252" if any(0x80 <= byte <= 0x9F for byte in raw) else "latin1"
