r"""Lines of UTF-8 text files, split at \n only: str.splitlines would also split at U+2028, U+0085 and others."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from pathlib import Path

from ligero.common.errors import DataError

MEND_ENCODING = "Convert it to UTF-8, for example with: iconv -f latin1 -t utf-8 FILE > FILE.new"


def read_utf8(path: Path) -> str:
    r"""The whole file as text, without a leading byte order mark, with \r\n turned into \n.

    Raises:
        DataError: no such file, empty, or not UTF-8 (with line, byte offset and the way to mend it).
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(path, None, "no such file.") from error
    if not raw.removeprefix(codecs.BOM_UTF8).strip():
        raise DataError(path, None, "the file is empty.", "Fetch it again.")
    if b"\0" in raw:
        line = raw[: raw.index(b"\0")].count(b"\n") + 1
        raise DataError(path, line, f"not text: a zero byte at byte {raw.index(0)}.", MEND_ENCODING)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        found = f"byte 0x{raw[error.start]:02x} at byte offset {error.start:,}"
        raise DataError(path, line, f"not UTF-8: {found}.", MEND_ENCODING) from error
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (1-based number, line without its end).

    Raises:
        DataError: as `read_utf8`, and where the last line has no end: the file was cut off.
    """
    text = read_utf8(path)
    lines = text.split("\n")
    if lines[-1]:
        raise DataError(
            path,
            len(lines),
            "the last line has no line end: the file is truncated.",
            "Fetch or write it again.",
        )
    yield from enumerate(lines[:-1], start=1)


def read_tsv(path: Path, layouts: Sequence[Sequence[str]]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line number, column -> cell) of a tab-separated file whose cells may hold any quotes.

    `layouts` are the headers that the format is known with; the first line must be one of them.

    Raises:
        DataError: another header, or a row with another number of cells.
    """
    lines = read_lines(path)
    number, first = next(lines)
    header = first.split("\t")
    if header not in [list(layout) for layout in layouts]:
        expected = " or ".join(repr("\t".join(layout)) for layout in layouts)
        raise DataError(
            path, number, f"expected the header {expected}, found {first!r}.", "Is it the right file?"
        )
    for number, line in lines:
        cells = line.split("\t")
        if len(cells) != len(header):
            raise DataError(
                path,
                number,
                f"expected {len(header)} tab-separated cells ({', '.join(header)}), found {len(cells)}.",
                "A cell must not hold tabs or line ends; a truncated file must be fetched again.",
            )
        yield number, dict(zip(header, cells, strict=True))
