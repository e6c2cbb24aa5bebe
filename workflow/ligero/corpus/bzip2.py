"""Decompress a bzip2 file with several threads: its blocks do not depend on each other, so each is made a file of its own.

The format keeps no index: blocks begin at any bit, with a magic number of 48 bits, and another one ends the stream. Where
that reading fails (a magic number that occurs inside a block by chance, or damage) the file is read again from its
beginning by the standard library, which gives the text or the right error.
"""

from __future__ import annotations

import bz2
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO

from ligero.corpus.chunks import ChunkReader

BLOCK_MAGIC, END_MAGIC = 0x314159265359, 0x177245385090
MAGIC_BITS, CHECKSUM_BITS, HEADER_BYTES = 48, 32, 4
INPUT_BYTES = 1 << 20
AHEAD_PER_THREAD = 2


class _IrregularError(Exception):
    """The file is not what one pass over its blocks expects."""


def _bits(data: bytes, start: int, end: int) -> int:
    """The bits from `start` to before `end` as a number."""
    last = -(-end // 8)
    return (int.from_bytes(data[start // 8 : last], "big") >> (8 * last - end)) & ((1 << (end - start)) - 1)


def _places(data: bytes, magic: int) -> list[int]:
    """Bit offsets of a magic number in `data`."""
    places = []
    for shift in range(8):
        # Shifted by some bits it covers five whole bytes, and a part of the byte before and of the one after.
        middle = (magic << (8 - shift)).to_bytes(7, "big")[1:6]
        place = data.find(middle, 1)
        while place > 0:
            bit = 8 * (place - 1) + shift
            if bit + MAGIC_BITS <= 8 * len(data) and _bits(data, bit, bit + MAGIC_BITS) == magic:
                places.append(bit)
            place = data.find(middle, place + 1)
    return places


class _Window:
    """The part of a file that is still needed; offsets count from the file's beginning."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw, self._data = raw, b""
        self._base = 0
        self.keep = 0
        """Bytes before this one are not needed any more."""

    def _read_on(self) -> bool:
        chunk = self._raw.read(INPUT_BYTES)
        self._data = self._data[self.keep - self._base :] + chunk
        self._base = self.keep
        return bool(chunk)

    def bytes_at(self, start: int, length: int) -> bytes:
        """As many of these bytes as the file has."""
        while self._base + len(self._data) < start + length and self._read_on():
            pass
        return self._data[start - self._base : start - self._base + length]

    def bits(self, start: int, end: int) -> int:
        return _bits(self.bytes_at(start // 8, -(-end // 8) - start // 8), start % 8, start % 8 + end - start)

    def marks(self) -> Iterator[tuple[int, bool]]:
        """(bit, whether it begins a block) of every magic number, in order."""
        searched, last = 0, -1
        while True:
            end = self._base + len(self._data)
            found = [
                (bit + 8 * searched, magic == BLOCK_MAGIC)
                for magic in (BLOCK_MAGIC, END_MAGIC)
                for bit in _places(self._data[searched - self._base :], magic)
            ]
            for bit, is_block in sorted(found):
                if bit > last:
                    last = bit
                    yield bit, is_block
            # One that begins in the last seven bytes may not be there whole.
            searched = max(end - 7, 0)
            self.keep = min(self.keep, searched)
            if end == self._base + len(self._data) and not self._read_on():
                return


def _blocks(raw: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """(bytes, first bit, end bit) of each block of a file, in order.

    Raises:
        _IrregularError: the file does not begin as it should, or what ends a stream does not agree with its blocks.
    """
    window = _Window(raw)
    first: int | None = None
    due, checksum = 8 * HEADER_BYTES, 0
    for bit, is_block in window.marks():
        if first is not None:
            of_block = window.bits(first + MAGIC_BITS, first + MAGIC_BITS + CHECKSUM_BITS)
            checksum = ((checksum << 1 | checksum >> 31) & 0xFFFFFFFF) ^ of_block
            yield window.bytes_at(first // 8, -(-bit // 8) - first // 8), first % 8, first % 8 + bit - first
        elif bit != due:
            raise _IrregularError
        if is_block:
            first = bit
            window.keep = first // 8
            continue
        end = bit + MAGIC_BITS + CHECKSUM_BITS
        if len(window.bytes_at(bit // 8, -(-end // 8) - bit // 8)) < -(-end // 8) - bit // 8:
            raise _IrregularError
        if window.bits(bit + MAGIC_BITS, end) != checksum:
            raise _IrregularError
        window.keep = -(-end // 8)
        if window.bytes_at(window.keep, HEADER_BYTES)[:3] != b"BZh":
            return  # the end, or something else after it, which the standard library ignores too
        first, due, checksum = None, 8 * (window.keep + HEADER_BYTES), 0
    raise _IrregularError


def _decompress_block(data: bytes, start: int, end: int) -> bytes:
    """The text of the block that lies in these bits: a file is put around it and given to the standard library."""
    checksum = _bits(data, start + MAGIC_BITS, start + MAGIC_BITS + CHECKSUM_BITS)
    length = end - start + MAGIC_BITS + CHECKSUM_BITS
    padding = -length % 8
    stream = (
        (_bits(data, start, end) << (MAGIC_BITS + CHECKSUM_BITS)) | (END_MAGIC << CHECKSUM_BITS) | checksum
    )
    return bz2.decompress(b"BZh9" + (stream << padding).to_bytes((length + padding) // 8, "big"))


class ParallelBzip2File(ChunkReader):
    """The text of a bzip2 file, decompressed by several threads; the text, and the errors, are those of `bz2.BZ2File`.

    Args:
        raw: the file, which must be able to go back to its beginning.
        threads: how many decompress at once; each holds two blocks of 900 kB of text.
    """

    def __init__(self, raw: BinaryIO, threads: int) -> None:
        super().__init__()
        self._raw = raw
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="bzip2")
        self._ahead = threads * AHEAD_PER_THREAD
        self._blocks = _blocks(raw)
        self._waiting: deque[Future[bytes]] = deque()
        self._given = 0
        self._plain: bz2.BZ2File | None = None

    def _next_chunk(self) -> bytes:
        if self._plain is None:
            try:
                chunk = self._next_block()
            except (_IrregularError, OSError, EOFError, ValueError):
                chunk = self._start_again()
        else:
            chunk = self._plain.read(INPUT_BYTES)
        self._given += len(chunk)
        return chunk

    def _next_block(self) -> bytes:
        while True:
            while len(self._waiting) < self._ahead and (block := next(self._blocks, None)):
                self._waiting.append(self._pool.submit(_decompress_block, *block))
            if not self._waiting:
                return b""
            if chunk := self._waiting.popleft().result():
                return chunk

    def _start_again(self) -> bytes:
        """Read sequentially from the beginning and go on behind what was given already."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._raw.seek(0)
        self._plain = bz2.BZ2File(self._raw)
        left = self._given
        while left and (skipped := len(self._plain.read(min(left, INPUT_BYTES)))):
            left -= skipped
        return self._plain.read(INPUT_BYTES)

    def close(self) -> None:
        if not self.closed:
            self._pool.shutdown(wait=True, cancel_futures=True)
        super().close()
