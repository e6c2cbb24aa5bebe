"""Benchmark of the token store against the same lines as an Arrow data set of `datasets`, both mapped into memory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpus_contenders import Measurement, in_turn
from ligero.common.errors import MismatchError
from ligero.corpus.token_store import TokenStore

LINES_AT_ONCE = 1_000
"""Lines in a batch of the peer when it reads in order, its own default."""


def bench_store(store: TokenStore, folder: Path, rounds: int, reads: int = 20_000) -> list[Measurement]:
    """Random lines per second, and tokens per second in order, by lines too; what is read is summed line by line, and lines and sums are compared.

    Args:
        store: an opened split with at least one line.
        folder: receives the peer's Arrow file.
        rounds: turns of each side.
        reads: lines that are read at random places (drawn with a fixed seed).

    Raises:
        MismatchError: the two do not hold the same ids.
    """
    from datasets import Dataset
    from datasets.arrow_writer import ArrowWriter

    lines = len(store.segments) - 1
    path = folder / "lines.arrow"
    with ArrowWriter(path=str(path)) as writer:
        for index in range(lines):
            writer.write({"ids": store.segment(index)})
        writer.finalize()
    peer = Dataset.from_file(str(path)).with_format("numpy")
    places = np.random.default_rng(42).integers(lines, size=reads).tolist()

    def random_ours() -> tuple[int, int]:
        return _lines_and_sum(store.segment(place) for place in places)

    def random_peer() -> tuple[int, int]:
        return _lines_and_sum(peer[place]["ids"] for place in places)

    def in_order_ours() -> tuple[int, int]:
        return _lines_and_sum(map(store.segment, range(lines)))

    def in_order_peer() -> tuple[int, int]:
        return _lines_and_sum(ids for batch in peer.iter(batch_size=LINES_AT_ONCE) for ids in batch["ids"])

    if (random_ours(), in_order_ours()) != (random_peer(), in_order_peer()):
        raise MismatchError("token store: it and the Arrow data set do not give the same ids line by line")
    name = "datasets, Arrow file, numpy format"
    ours, theirs = in_turn(random_ours, random_peer, rounds)
    random = Measurement(
        "token store, random lines", reads / ours, reads / theirs, name, "lines/s, one core", None
    )
    ours, theirs = in_turn(in_order_ours, in_order_peer, rounds)
    tokens = len(store.tokens)
    in_order = Measurement(
        "token store, all lines in order", tokens / ours, tokens / theirs, name, "tokens/s, one core", None
    )
    return [random, in_order]


def _lines_and_sum(lines: Iterable[NDArray[Any]]) -> tuple[int, int]:
    """Read everything: how many lines, so that no side does with fewer and longer pieces, and the sum of their ids."""
    count = total = 0
    for ids in lines:
        count += 1
        total += int(ids.sum(dtype=np.int64))
    return count, total
