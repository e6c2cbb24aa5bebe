"""Building the next batches while the device computes on this one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import torch

from ligero.pretraining.batches import BatchSource, PretrainingBatch

T = TypeVar("T")


def prefetched_batches(
    source: BatchSource,
    share: tuple[int, int],
    steps: Iterable[int],
    micro_batch_size: int,
    device: torch.device,
) -> Iterator[PretrainingBatch]:
    """This process's share (first row, rows) of the batch of each step, cut into micro batches.

    For a GPU a thread does it ahead, pinning too, so that the training thread only starts copies.
    """
    on_gpu = device.type == "cuda"
    return iter(
        Prefetcher(
            lambda step: source.batch(step, *share).cut(micro_batch_size, on_gpu), steps, background=on_gpu
        )
    )


class Prefetcher(Generic[T]):
    """Yields `build(step)` for each step, in order; with `background` a thread works `ahead` steps in front.

    On a CPU the thread would take cores from the computing, so it is for GPUs.
    """

    def __init__(
        self, build: Callable[[int], T], steps: Iterable[int], background: bool = False, ahead: int = 3
    ) -> None:
        self.build, self.steps, self.background, self.ahead = build, steps, background, ahead

    def __iter__(self) -> Iterator[T]:
        if not self.background:
            yield from map(self.build, self.steps)
            return
        waiting: deque[Future[T]] = deque()
        with ThreadPoolExecutor(1) as pool:
            for step in self.steps:
                waiting.append(pool.submit(self.build, step))
                if len(waiting) > self.ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
