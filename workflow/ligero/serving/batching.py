"""Requests that arrive while the model works are answered together; a request that finds it idle starts at once."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from ligero.common.errors import LigeroError
from ligero.serving.answers import Answer
from ligero.serving.predictor import Predictor
from ligero.serving.readers import Question

Result = TypeVar("Result")
BATCH_TOKENS = 2048
"""Waiting requests are answered together up to so many tokens. None ever waits for others to come."""


class BusyError(LigeroError):
    """More tokens wait than the queue may hold.

    Args:
        seconds: after which the queue probably accepts requests again.
    """

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many requests wait; try again in {seconds} s")
        self.seconds = seconds


@dataclass
class _Waiting:
    questions: Sequence[Question]
    tokens: int
    answers: asyncio.Future[list[Answer]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Batcher:
    """The one thread that runs the model, and the queue before it.

    Attributes:
        waiting_tokens: tokens of requests that are not answered yet.
    """

    def __init__(
        self,
        predictor: Predictor,
        max_queue_tokens: int,
        observe: Callable[[int, int], None] = lambda *_: None,
    ) -> None:
        """Args:
        max_queue_tokens: a request that would make more tokens wait is refused.
        observe: gets the number of requests and of tokens of every batch.
        """
        self.predictor, self.max_queue_tokens, self._observe = predictor, max_queue_tokens, observe
        self.waiting_tokens = 0
        self._queue: deque[_Waiting] = deque()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._running: asyncio.Task[None] | None = None
        self._tokens_per_second = 5000.0

    async def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer the questions of one request.

        Raises:
            BusyError: the queue is full.
        """
        entry = _Waiting(questions, sum(question.tokens for question in questions))
        if self.waiting_tokens and self.waiting_tokens + entry.tokens > self.max_queue_tokens:
            raise BusyError(max(1, math.ceil(self.waiting_tokens / self._tokens_per_second)))
        self.waiting_tokens += entry.tokens
        self._queue.append(entry)
        if self._running is None:
            self._running = asyncio.create_task(self._work())
        try:
            return await entry.answers
        finally:
            self.waiting_tokens -= entry.tokens

    async def in_worker(self, call: Callable[[], Result]) -> Result:
        """Run something in the model's thread, after what runs there now."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, call)

    def close(self) -> None:
        self._worker.shutdown()

    async def _work(self) -> None:
        """Answer what waits, batch after batch, until nothing does."""
        try:
            while batch := self._take():
                questions = [question for entry in batch for question in entry.questions]
                tokens = sum(entry.tokens for entry in batch)
                started = time.perf_counter()
                try:
                    answers = iter(await self.in_worker(partial(self.predictor.answer, questions)))
                except Exception as error:
                    for entry in batch:
                        if not entry.answers.done():
                            entry.answers.set_exception(error)
                    continue
                speed = tokens / max(time.perf_counter() - started, 1e-6)
                self._tokens_per_second += 0.1 * (speed - self._tokens_per_second)
                self._observe(len(batch), tokens)
                for entry in batch:
                    own = [next(answers) for _ in entry.questions]
                    if not entry.answers.done():
                        entry.answers.set_result(own)
        finally:
            self._running = None

    def _take(self) -> list[_Waiting]:
        """The next requests, at least one if any waits, without those whose client has left."""
        batch: list[_Waiting] = []
        tokens = 0
        while self._queue and (not batch or tokens + self._queue[0].tokens <= BATCH_TOKENS):
            entry = self._queue.popleft()
            if not entry.answers.done():
                batch.append(entry)
                tokens += entry.tokens
        return batch
