"""Reading beside cleaning: bzip2 by several threads gives the same text and refuses damage, and parts are read ahead."""

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

from ligero.common.errors import DataError
from ligero.common.prefetch import ReadAhead
from ligero.corpus.pipeline import CleanPaths, clean_corpus
from ligero.corpus.reading import open_text, read_named_blocks
from ligero.settings.corpus import Corpus


def _read(path: Path, threads: int, size: int) -> bytes:
    with open_text(path, threads) as file:
        return b"".join(iter(lambda: file.read(size), b""))


@pytest.fixture(scope="module")
def text() -> bytes:
    """Enough for four blocks of 100 kB; random letters, so that blocks begin at many bit offsets."""
    generator = random.Random(1)
    return "".join(generator.choice("abcdeñ \n") for _ in range(330_000)).encode()


def test_bzip2_by_several_threads_is_the_same_text(text: bytes, tmp_path: Path) -> None:
    several = [
        bz2.compress(text, 1),
        bz2.compress(b""),
        bz2.compress(b"fin\n"),
        bz2.compress(text[:150_000], 1),
    ]
    path = tmp_path / "partes.bz2"
    for content, expected in (
        (b"".join(several), text + b"fin\n" + text[:150_000]),
        (bz2.compress(b""), b""),
        (several[0] + b"garbage behind it", text),
    ):
        path.write_bytes(content)
        for threads, size in ((1, 70_000), (2, 900), (3, 1 << 20)):
            assert _read(path, threads, size) == expected


@pytest.mark.parametrize("threads", [1, 2])
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
def test_a_damaged_file_is_named(text: bytes, damage, threads: int, tmp_path: Path) -> None:
    path = tmp_path / "roto.bz2"
    path.write_bytes(damage(bz2.compress(text, 1)))
    with pytest.raises(DataError, match=r"roto\.bz2: cannot be decompressed"):
        list(read_named_blocks(path, threads=threads))


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
    settings = Corpus(parts=tuple(paths))
    one, two = (
        clean_corpus(paths, tmp_path / str(n), settings, processes=n, block_bytes=1500) for n in (1, 2)
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
        clean_corpus(paths, tmp_path / "3", settings, processes=2, block_bytes=1500)
