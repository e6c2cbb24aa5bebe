"""Benchmark of the corpus stage: cleaning, encoding and peak memory, against what one would write first.

Both sides run in turn in one process on the same text and their outputs are compared; figures are medians.
"""

from __future__ import annotations

import bz2
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from _measurements import output_of
from ligero.common.errors import MismatchError
from ligero.corpus.cleaning import clean_documents
from ligero.corpus.fast_cleaning import clean_block
from ligero.corpus.reading import BLOCK_BYTES, open_text, read_blocks
from ligero.corpus.statistics import Counts
from ligero.settings.corpus import Cleaning
from ligero.tokenizers.fast_tokenizer import FastTokenizer
from ligero.tokenizers.word_cache import LineEncoder

THESIS_CHARACTERS = 18_431_160_978
THESIS_CORES = 64
CLEANING_AIM, ENCODING_AIM, MEMORY_AIM = 6.0, 3.0, 1.1

# VmHWM is this process' own peak; ru_maxrss would start from the parent's.
_CLEAN_AND_REPORT = """
import sys
from pathlib import Path
from ligero.corpus.pipeline import clean_corpus
from ligero.settings.corpus import Corpus
clean_corpus({"text": Path(sys.argv[1])}, Path(sys.argv[2]), Corpus(parts=("text",)))
status = Path("/proc/self/status").read_text()
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
"""


@dataclass(frozen=True)
class Measurement:
    """One row: ours beside a peer's, in the same unit; `ratio` is ours over the peer's."""

    measure: str
    ours: float
    peer: float | None
    peer_name: str
    unit: str
    aim: float | None

    def row(self) -> dict[str, Any]:
        ratio = self.ours / self.peer if self.peer else None
        return {
            "measure": self.measure,
            "ours": round(self.ours, 3),
            "peer": None if self.peer is None else round(self.peer, 3),
            "peer_name": self.peer_name,
            "unit": self.unit,
            "ratio": None if ratio is None else round(ratio, 3),
            "aim": self.aim,
        }


def take_blocks(paths: list[Path], megabytes: float) -> list[bytes]:
    """Blocks from the start of the files, so much in all but for a line: the same share of each, more where another one ends before.

    Where all of them together are shorter, that is all.
    """
    blocks: list[bytes] = []
    wanted = round(megabytes * 1e6)
    # The shortest first, so that the longer ones make up for them.
    ordered = sorted(paths, key=lambda path: path.stat().st_size)
    for files, path in zip(range(len(ordered), 0, -1), ordered, strict=True):
        share = wanted // files
        for block in read_blocks(path):
            whole = block if len(block) <= share else whole_lines(block, share)
            blocks.append(whole)
            share, wanted = share - len(whole), wanted - len(whole)
            if whole is not block:
                break
    return [block for block in blocks if block]


def whole_lines(block: bytes, size: int) -> bytes:
    """The lines of a block that end within its first `size` bytes."""
    return block[: block.rfind(b"\n", 0, size) + 1]


def in_turn(ours: Callable[[], Any], peer: Callable[[], Any], rounds: int) -> tuple[float, float]:
    """Median CPU seconds of both, run one after the other (one thread each, so other work on the machine matters less)."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for seconds, function in zip(times, (ours, peer), strict=True):
            start = time.process_time()
            function()
            seconds.append(time.process_time() - start)
    return statistics.median(times[0]), statistics.median(times[1])


def clean_and_count(block: bytes, cleaning: Cleaning) -> tuple[str, Counts, Counts]:
    """What one would write first: the plain reference, and lines, tokens and characters counted before and after."""
    text = block.decode()
    cleaned = clean_documents(text, cleaning)
    return cleaned, _count(text), _count(cleaned)


def _count(text: str) -> Counts:
    counts = Counts(bytes=len(text.encode()))
    inside = False
    for line in text.split("\n"):
        counts.characters += len(line)
        words = len(line.split())
        counts.documents += bool(words) and not inside
        inside = bool(words)
        counts.lines += inside
        counts.tokens += words
    return counts


def bench_cleaning(blocks: list[bytes], rounds: int) -> Measurement:
    """Cleaning of blocks (with statistics) against the plain reference, one process.

    Raises:
        MismatchError: the outputs differ.
    """
    cleaning = Cleaning()
    for block in blocks:
        ours_of_block = clean_block(block, cleaning)
        counted = ours_of_block.statistics
        if (ours_of_block.text.decode(), counted.raw, counted.clean) != clean_and_count(block, cleaning):
            raise MismatchError("cleaning: the fast path and the reference differ on this text")
    ours, peer = in_turn(
        lambda: [clean_block(block, cleaning) for block in blocks],
        lambda: [clean_and_count(block, cleaning) for block in blocks],
        rounds,
    )
    size = sum(map(len, blocks)) / 1e6
    return Measurement(
        f"cleaning {size:.1f} MB",
        size / ours,
        size / peer,
        "line by line with re, same text and counts",
        "MB/s, one core",
        CLEANING_AIM,
    )


def bench_encoding(name: str, encoder: FastTokenizer, blocks: list[bytes], rounds: int) -> Measurement:
    """Encoding by the word cache, empty at the start, against `encode_batch_fast`, one thread each.

    Raises:
        MismatchError: the ids differ.
    """
    clean = [clean_block(block, Cleaning()).text.decode().split("\n") for block in blocks]
    lines = [[line for line in block if line] for block in clean]
    cached = LineEncoder(encoder)
    for block in lines:
        ours = np.frombuffer(cached.encode(block)[0], dtype=cached.dtype)
        theirs = [index for line in block for index in encoder.encode(line)]
        if ours.tolist() != theirs:
            raise MismatchError("encoding: the word cache and the tokenizer differ on this text")

    def with_cache() -> None:
        fresh = LineEncoder(encoder)
        for block in lines:
            fresh.encode(block)

    seconds, peer = in_turn(
        with_cache,
        lambda: [encoder.backend.encode_batch_fast(block, add_special_tokens=False) for block in lines],
        rounds,
    )
    size = sum(len(line.encode()) + 1 for block in lines for line in block) / 1e6
    return Measurement(
        f"encoding {size:.1f} MB, {name}, empty cache at the start",
        size / seconds,
        size / peer,
        "tokenizers encode_batch_fast",
        "MB/s, one core",
        ENCODING_AIM,
    )


def bench_bzip2(blocks: list[bytes], folder: Path, rounds: int, threads: int) -> Measurement:
    """Decompression of bzip2, the format of the thesis' corpus, by several threads against the standard library's one.

    Raises:
        MismatchError: the texts differ.
    """
    text = b"".join(blocks)
    path = folder / "text.bz2"
    path.write_bytes(bz2.compress(text))
    speeds: dict[int, list[float]] = {threads: [], 1: []}
    for _ in range(rounds):
        for number, measured in speeds.items():
            start = time.perf_counter()
            with open_text(path, number) as file:
                read = sum(map(len, iter(lambda: file.read(BLOCK_BYTES), b"")))
            measured.append(len(text) / 1e6 / (time.perf_counter() - start))
            if read != len(text):
                raise MismatchError(f"bzip2: {read} bytes instead of {len(text)}")
    return Measurement(
        f"reading bzip2, {len(text) / 1e6:.1f} MB",
        statistics.median(speeds[threads]),
        statistics.median(speeds[1]),
        "bz2.BZ2File, one thread",
        f"MB/s, {threads} threads",
        None,
    )


def bench_memory(blocks: list[bytes], folder: Path, small: int, large: int) -> Measurement:
    """Peak memory of a process that cleans `large` megabytes against one that cleans `small`, from a plain file."""
    peaks = {}
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "workflow")}
    for megabytes in (small, large):
        source = folder / f"{megabytes}.txt"
        with source.open("wb") as file:
            for block in cycle(blocks):
                left = megabytes * 1_000_000 - file.tell()
                if len(block) > left:
                    file.write(whole_lines(block, left))
                    break
                file.write(block)
        command = [sys.executable, "-c", _CLEAN_AND_REPORT, str(source), str(folder / "out")]
        peaks[megabytes] = int(output_of(command, environment)) / 1024
        source.unlink()
    return Measurement(
        f"peak memory, cleaning {large} MB",
        peaks[large],
        peaks[small],
        f"cleaning {small} MB",
        "MiB",
        MEMORY_AIM,
    )


def projections(measurements: list[Measurement]) -> list[Measurement]:
    """Seconds for the thesis' corpus on 64 cores, if cores were all that counts and its characters one byte each (Spanish has 1.02)."""
    return [
        Measurement(
            f"projection to 18.4 billion characters on {THESIS_CORES} cores, computing alone, from {measured.measure}",
            THESIS_CHARACTERS / 1e6 / measured.ours / THESIS_CORES,
            None if measured.peer is None else THESIS_CHARACTERS / 1e6 / measured.peer / THESIS_CORES,
            measured.peer_name,
            "seconds",
            None,
        )
        for measured in measurements
        if measured.unit == "MB/s, one core"
    ]
