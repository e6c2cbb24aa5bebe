"""Reading beside cleaning: bzip2 by several threads equals the standard library, and parts are read ahead."""

from __future__ import annotations

import bz2
import io
import lzma
import random
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ligero.common.errors import DataError
from ligero.common.prefetch import ReadAhead
from ligero.corpus import bzip2
from ligero.corpus.bzip2 import BLOCK_MAGIC, END_MAGIC, ParallelBzip2File
from ligero.corpus.pipeline import CleanPaths, clean_corpus
from ligero.corpus.reading import read_named_blocks
from ligero.settings.corpus import Cleaning


def _read(data: bytes, threads: int = 2, size: int = 70_000) -> bytes:
    with ParallelBzip2File(io.BytesIO(data), threads) as file:
        return b"".join(iter(lambda: file.read(size), b""))


@pytest.fixture(scope="module")
def text() -> bytes:
    """Enough for four blocks of 100 kB; random letters, so that blocks begin at many bit offsets."""
    generator = random.Random(1)
    return "".join(generator.choice("abcdeñ \n") for _ in range(330_000)).encode()


@pytest.mark.parametrize("input_bytes", [1000, 1 << 20])
def test_many_blocks_and_streams(text: bytes, input_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bzip2, "INPUT_BYTES", input_bytes)
    # The standard library must not be needed: it would hide that blocks are not found.
    monkeypatch.setattr(ParallelBzip2File, "_start_again", lambda self: pytest.fail("read again"))
    several = (
        bz2.compress(text, 1)
        + bz2.compress(b"")
        + bz2.compress(b"fin\n", 9)
        + bz2.compress(text[:150_000], 1)
    )
    assert _read(several) == text + b"fin\n" + text[:150_000]
    assert _read(bz2.compress(b"")) == b""
    assert _read(bz2.compress(text, 1) + b"garbage behind it", size=900) == text


@given(st.lists(st.binary(max_size=3000), min_size=1, max_size=4), st.integers(1, 9), st.integers(7, 300))
@settings(max_examples=40, deadline=None)
def test_any_bytes(streams: list[bytes], level: int, input_bytes: int) -> None:
    data = b"".join(bz2.compress(stream, level) for stream in streams)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bzip2, "INPUT_BYTES", input_bytes)
        assert _read(data) == b"".join(streams)


def test_a_magic_number_inside_a_block_costs_only_time(text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made by hand: places are reported where none is."""
    honest = bzip2._places
    data = bz2.compress(text, 1)

    def one_too_many(piece: bytes, magic: int) -> list[int]:
        places = honest(piece, magic)
        return sorted([*places, places[-1] + 4000]) if len(places) > 1 and magic == BLOCK_MAGIC else places

    monkeypatch.setattr(bzip2, "_places", one_too_many)
    assert _read(data) == text


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-3],
        lambda data: data[: len(data) // 2],
        lambda data: data[:9000] + bytes([data[9000] ^ 4]) + data[9001:],
        lambda data: data[:-4] + bytes(4),  # the checksum of the whole
        lambda data: b"BZh9 and then nothing of the kind",
    ],
)
def test_damage_gives_the_same_text_and_error_as_the_standard_library(
    text: bytes, damage, tmp_path: Path
) -> None:
    data = damage(bz2.compress(text, 1))

    def outcome(file) -> tuple[int, str]:
        read = 0
        try:
            while piece := file.read(1000):
                read += len(piece)
        except (OSError, EOFError) as error:
            return read, f"{type(error).__name__}: {error}"
        return read, ""

    theirs = outcome(bz2.BZ2File(io.BytesIO(data)))
    assert theirs[1]
    with ParallelBzip2File(io.BytesIO(data), 2) as file:
        assert outcome(file)[1] == theirs[1]
    path = tmp_path / "roto.bz2"
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"roto\.bz2: cannot be decompressed"):
        list(read_named_blocks(path, threads=2))


def test_magic_numbers_at_every_bit() -> None:
    for magic in (BLOCK_MAGIC, END_MAGIC):
        for shift in range(16):
            number = ((0b1011 << 48 | magic) << 23 | 0x12345) << (16 - shift)
            data = number.to_bytes(12, "big")
            first = 12 * 8 - (16 - shift) - 23 - 48
            assert bzip2._places(data, magic) == [first]


def test_read_ahead_keeps_order_bounds_and_errors() -> None:
    made = []

    def numbers() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            yield number
        raise ValueError("at the end")

    ahead = ReadAhead(numbers, 2)
    assert next(ahead) == 0
    # One more is on its way, two wait in the queue, one in the thread's hand.
    assert len(made) <= 5
    assert [next(ahead) for _ in range(9)] == list(range(1, 10))
    for _ in range(2):
        with pytest.raises(ValueError, match="at the end"):
            next(ahead)
    before = threading.active_count()
    endless = ReadAhead(lambda: iter(int, 1), 1)
    endless.close()
    assert threading.active_count() <= before
    assert list(ReadAhead(lambda: iter("abc"), 1)) == ["a", "b", "c"]


def test_parts_of_every_compression_and_files_of_an_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ligero.corpus.pipeline.BYTES_PER_PROCESS", 1)
    lines = [f"La frase número {number} de la parte.\n\n".encode() for number in range(400)]
    raw = b"".join(lines)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in (("raw/uno.txt", raw[:6000]), ("raw/dos.txt", raw[6000:9000])):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    packed = {"a": bz2.compress(raw), "b": lzma.compress(raw), "c": raw, "d": bz2.compress(stream.getvalue())}
    paths = {name: tmp_path / name for name in packed}
    for name, content in packed.items():
        paths[name].write_bytes(content)
    one, two = (
        clean_corpus(paths, tmp_path / str(n), Cleaning(), processes=n, block_bytes=1500) for n in (1, 2)
    )
    assert one == two
    texts = [CleanPaths(tmp_path / str(number)).train.read_bytes() for number in (1, 2)]
    assert texts[0] == texts[1]
    files = one["parts"]["d"]["files"]
    assert list(files) == ["raw/uno.txt", "raw/dos.txt"]
    assert sum(file["raw"]["bytes"] for file in files.values()) == one["parts"]["d"]["raw"]["bytes"]
    assert "files" not in one["parts"]["a"]
    paths["c"].write_bytes("año".encode("latin-1"))
    with pytest.raises(DataError, match="c:1: byte 1"):
        clean_corpus(paths, tmp_path / "3", Cleaning(), processes=2, block_bytes=1500)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("bzip2")]
