"""Map a function over a stream with several processes: results in order, a bounded number of items in memory."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")
IN_FLIGHT_PER_PROCESS = 2


def ordered_map(
    function: Callable[[T], R],
    items: Iterable[T],
    processes: int,
    initializer: Callable[..., object] | None = None,
    arguments: tuple[Any, ...] = (),
) -> Iterator[R]:
    """Like `map`, in `processes` processes; the order, and so the result, does not depend on their number.

    One process means this one. `function`, `initializer` and items must be picklable otherwise. An exception in a
    process is raised here.
    """
    if processes <= 1:
        if initializer:
            initializer(*arguments)
        yield from map(function, items)
        return
    # Spawned, not forked: a fork would inherit threads of tokenizers or numpy in an undefined state.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer, arguments) as pool:
        waiting: deque[Future[R]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= processes * IN_FLIGHT_PER_PROCESS:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
