"""Compressed streams of bytes, recognised by what they begin with."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from typing import Any, BinaryIO, cast

import zstandard


def without_compression(stream: io.BufferedReader) -> BinaryIO:
    """The stream without its compression, recognised by its first bytes, not by its name."""
    head = stream.peek(6)[:6]
    if head.startswith(b"\x1f\x8b"):
        return cast(BinaryIO, gzip.GzipFile(fileobj=stream))
    if head.startswith(b"BZh"):
        return cast(BinaryIO, bz2.BZ2File(stream))
    if head == b"\xfd7zXZ\x00":
        return cast(BinaryIO, lzma.LZMAFile(stream))
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return cast(BinaryIO, io.BufferedReader(_ZstdReader(cast(BinaryIO, stream))))
    return cast(BinaryIO, stream)


class _ZstdReader(io.RawIOBase):
    """All frames of a zstd stream (`cat a.zst b.zst` is one text); unlike the library's reader it notices a cut one."""

    def __init__(self, raw: BinaryIO) -> None:
        super().__init__()
        self._raw = raw
        self._decompressor = zstandard.ZstdDecompressor()
        self._frame: Any = None
        self._chunk = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._chunk = self._chunk or memoryview(self._next_chunk())
        taken, self._chunk = self._chunk[: len(buffer)], self._chunk[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)

    def _next_chunk(self) -> bytes:
        while True:
            ended = self._frame is not None and self._frame.eof
            data = (self._frame.unused_data if ended else b"") or self._raw.read(1 << 18)
            if not data:
                if self._frame is None or ended:
                    return b""
                raise EOFError("the zstd stream ends inside a frame")
            if self._frame is None or ended:
                self._frame = self._decompressor.decompressobj()
            if chunk := cast(bytes, self._frame.decompress(data)):
                return chunk
