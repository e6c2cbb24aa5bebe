"""Read ahead: what an iterator gives is produced in a thread of its own, a bounded number of items ahead."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")


class ReadAhead(Iterator[T]):
    """Like the iterator, whose work is done in a thread; it pays where that work releases the lock of Python.

    An exception of the iterator is raised here, in its place. `close` stops the thread.
    """

    def __init__(self, start: Callable[[], Iterator[T]], items: int) -> None:
        self._queue: queue.Queue[tuple[T] | BaseException | None] = queue.Queue(items)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(start,), daemon=True)
        self._thread.start()

    def _run(self, start: Callable[[], Iterator[T]]) -> None:
        try:
            for item in start():
                if not self._put((item,)):
                    return
            self._put(None)
        except BaseException as error:
            self._put(error)

    def _put(self, item: tuple[T] | BaseException | None) -> bool:
        """Hand something over; False where nobody wants it any more."""
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    def __next__(self) -> T:
        item = self._queue.get()
        if isinstance(item, tuple):
            return item[0]
        self._queue.put(item)  # asked again, it says the same
        if item is None:
            raise StopIteration
        raise item

    def close(self) -> None:
        """Stop the thread and wait for it."""
        self._stopped.set()
        self._thread.join()
