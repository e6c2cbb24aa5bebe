"""Write clean text: one paragraph per line, a blank line between documents, zstd."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import zstandard

LEVEL = 3


class TextWriter:
    """Documents into one zstd file with a checksum, which every reader compares; the bytes depend on the documents only."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._stream = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).stream_writer(self._file)
        self._first = True

    def __enter__(self) -> TextWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._stream.close()
        finally:
            self._file.close()

    def write(self, documents: list[bytes]) -> None:
        """Add documents, each of them lines with line feeds."""
        if documents:
            separator = b"" if self._first else b"\n"
            self._stream.write(separator + b"\n".join(documents))
            self._first = False
