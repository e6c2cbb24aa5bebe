"""Read text files of any size, plain or compressed, alone or in tar archives, in blocks of whole lines."""

from __future__ import annotations

import io
import lzma
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import zstandard
from rapidgzip import IndexedBzip2File

from ligero.common.compression import without_compression
from ligero.common.errors import DataError
from ligero.common.text import refuse_other_kinds

BLOCK_BYTES = 4 << 20
"""Size of a block; part of the format of the results, since a document never spans two blocks."""
LONGEST_LINE_BYTES = 256 << 20
TAR_BYTES = 1 << 20
"""Read from an archive at a time."""

_AGAIN = "Fetch it again; a text that the workflow made is made again when it is deleted."
_BLANK_LINE = re.compile(rb"\n[ \t\r\x0b\x0c]*\n")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_OTHER_ENCODINGS = {b"\xff\xfe": "UTF-16LE", b"\xfe\xff": "UTF-16BE"}


class _Rewound(io.RawIOBase):
    """A stream whose first bytes were read already and are given again."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head, self._rest = head, rest

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self._head:
            size = len(self._head) if size < 0 else size
            taken, self._head = self._head[:size], self._head[size:]
            return taken
        return self._rest.read(size)


def _read_full(stream: BinaryIO, size: int) -> bytes:
    """Exactly `size` bytes unless the stream ends before."""
    chunks = []
    while size > 0 and (chunk := stream.read(size)):
        chunks.append(chunk)
        size -= len(chunk)
    return b"".join(chunks)


@contextmanager
def open_text(path: Path | str, threads: int = 1) -> Iterator[BinaryIO]:
    """Open one text file for reading bytes, whatever its compression; bzip2 is read by as many threads."""
    try:
        raw = Path(path).open("rb")  # noqa: SIM115 (closed below)
    except FileNotFoundError as error:
        raise DataError(path, None, "no such file.") from error
    with raw:
        if threads > 1 and raw.peek(3).startswith(b"BZh"):
            with IndexedBzip2File(str(path), parallelization=threads) as text:
                try:
                    yield cast(BinaryIO, text)
                except (RuntimeError, ValueError) as error:  # its own for damaged files
                    raise OSError(error) from error
        else:
            yield without_compression(raw)


def _members(path: Path | str, threads: int) -> Iterator[tuple[str, BinaryIO]]:
    """The text files in a source: itself (named ""), or the regular files of a tar in the archive's order."""
    with open_text(path, threads) as stream:
        head = _read_full(stream, 512)
        rewound = cast(BinaryIO, _Rewound(head, stream))
        if head[257:262] != b"ustar":
            yield "", rewound
            return
        with tarfile.open(fileobj=rewound, mode="r|", bufsize=TAR_BYTES) as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isfile() else None
                # macOS archives carry "._name" companions that are no text.
                if content is not None and not Path(member.name).name.startswith("._"):
                    yield member.name, without_compression(cast(io.BufferedReader, content))


def _cut(buffer: bytes) -> int:
    """Where to end a block: after the last blank line if there is one, else after the last line, else 0."""
    # Blank lines are searched in the last part first: documents are small beside a block.
    for start in (max(0, len(buffer) - (1 << 16)), 0):
        ends = [match.end() for match in _BLANK_LINE.finditer(buffer, start)]
        if ends:
            return ends[-1]
    return buffer.rfind(b"\n") + 1


def read_blocks(path: Path | str, block_bytes: int = BLOCK_BYTES) -> Iterator[bytes]:
    """The blocks of `read_named_blocks` without the names of files."""
    for _, block in read_named_blocks(path, block_bytes):
        yield block


def read_named_blocks(
    path: Path | str, block_bytes: int = BLOCK_BYTES, threads: int = 1
) -> Iterator[tuple[str, bytes]]:
    """Blocks of whole lines, each checked to be UTF-8, cut between documents where a block holds a blank line.

    Every block ends with a line end. A byte order mark at the start of a file is dropped.

    Args:
        path: a text file, plain or compressed, or a tar of such.
        block_bytes: size of a block, more where a line is longer.
        threads: how many decompress, where the compression allows more than one (bzip2).

    Yields:
        (name of the file within a tar, else "", block).

    Raises:
        DataError: no text (an archive, a Git LFS pointer, an HTML page), wrong encoding (with line and byte offset), damaged
            compression, or an endless line.
    """
    try:
        for member, stream in _members(path, threads):
            name = f"{path}:{member}" if member else str(path)
            for block in _blocks_of(name, stream, block_bytes):
                yield member, block
    except (EOFError, OSError, lzma.LZMAError, tarfile.TarError, zstandard.ZstdError) as error:
        raise DataError(path, None, f"cannot be decompressed: {error}.", _AGAIN) from error


def _blocks_of(name: str, stream: BinaryIO, block_bytes: int) -> Iterator[bytes]:
    buffer = _read_full(stream, block_bytes)
    refuse_other_kinds(name, buffer)
    for mark, encoding in _OTHER_ENCODINGS.items():
        if buffer.startswith(mark):
            raise DataError(name, 1, f"is {encoding}, expected UTF-8.", _remedy(encoding))
    buffer = buffer.removeprefix(_BYTE_ORDER_MARK)
    lines = offset = 0
    while buffer:
        more = _read_full(stream, block_bytes)
        if not more:
            block, buffer = (buffer if buffer.endswith(b"\n") else buffer + b"\n"), b""
        else:
            end = _cut(buffer)
            if end == 0:
                buffer += more
                if len(buffer) > LONGEST_LINE_BYTES:
                    raise DataError(
                        name,
                        lines + 1,
                        f"a line is longer than {LONGEST_LINE_BYTES >> 20} MiB.",
                        "Text is expected with one paragraph per line.",
                    )
                continue
            block, buffer = buffer[:end], buffer[end:] + more
        _check_utf8(name, block, lines, offset)
        lines += block.count(b"\n")
        offset += len(block)
        yield block


def _check_utf8(name: str, block: bytes, lines: int, offset: int) -> None:
    try:
        block.decode("utf-8")
    except UnicodeDecodeError as error:
        line = lines + block.count(b"\n", 0, error.start) + 1
        raise DataError(
            name,
            line,
            f"byte {offset + error.start} (0x{block[error.start]:02x}) is not valid UTF-8: {error.reason}.",
            _remedy("the file's encoding, often LATIN1,"),
        ) from error


def _remedy(encoding: str) -> str:
    return (
        f"Convert it first: iconv -f {encoding} -t UTF-8 (write LATIN1 or the like after -f)."
        if ("," in encoding)
        else f"Convert it first: iconv -f {encoding} -t UTF-8."
    )


def read_documents(path: Path | str) -> Iterator[list[str]]:
    """Documents of clean text (one paragraph per line, a blank line between documents) as lists of lines."""
    for block in read_blocks(path):
        document: list[str] = []
        for line in block.decode("utf-8").split("\n"):
            if line:
                document.append(line)
            elif document:
                yield document
                document = []
        if document:
            yield document
