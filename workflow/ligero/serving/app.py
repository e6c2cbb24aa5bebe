"""The HTTP server of one exported model."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import socket
import sys
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

import ligero
from ligero.common.errors import LigeroError
from ligero.serving.answers import Answer
from ligero.serving.batching import Batcher, BusyError
from ligero.serving.manifest import Precision
from ligero.serving.measures import Measures
from ligero.serving.openapi import openapi
from ligero.serving.predictor import FULL_DEPTH, Predictor
from ligero.serving.readers import InputError, Question
from ligero.tasks.lines import strict_json

_INLINE_BYTES = 4096
"""Smaller bodies are tokenised at once, larger ones in a thread, so that they hold nobody up."""


class Problem(TypedDict):
    """Why a request was refused."""

    message: str
    item: NotRequired[int]
    """Which of several items is at fault, counted from 1."""


class Failure(TypedDict):
    """The body of an answer that is an error."""

    error: Problem


@dataclass(frozen=True)
class Limits:
    """What a server accepts.

    Attributes:
        body_bytes: largest body (413).
        body_seconds: in which a body must arrive (408).
        items, tokens: most of a request (422); so many words too, of texts that are tagged.
        queue_tokens: most that may wait; further requests are refused with Retry-After (429).
        drain_seconds: given to running requests when the server is stopped.
    """

    body_bytes: int = 1 << 20
    body_seconds: float = 10.0
    items: int = 256
    tokens: int = 32768
    queue_tokens: int = 65536
    drain_seconds: int = 30


class RefusalError(Exception):
    """A request that is not answered.

    Args:
        status: HTTP status.
        item: number of the item at fault, counted from 1.
    """

    def __init__(
        self, status: int, message: str, item: int | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.item, self.retry_after = status, item, retry_after


class Server:
    """The handlers of one model's server."""

    def __init__(self, predictor: Predictor, limits: Limits) -> None:
        self.predictor, self.limits = predictor, limits
        self.measures = Measures()
        self.batcher = Batcher(predictor, limits.queue_tokens, self.measures.of_batch)
        self.measures.waiting.set_function(lambda: self.batcher.waiting_tokens)

    def app(self) -> Starlette:
        """The ASGI application."""

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            yield
            self.batcher.close()

        routes = [
            Route("/predict", self.predict, methods=["POST"]),
            Route("/info", self.info, methods=["GET"]),
            Route("/health/live", self.live, methods=["GET"]),
            Route("/health/ready", self.ready, methods=["GET"]),
            Route("/metrics", self.metrics, methods=["GET"]),
            Route("/openapi.json", self.openapi, methods=["GET"]),
        ]
        return Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: _no_such})

    async def predict(self, request: Request) -> Response:
        started = time.perf_counter()
        name = request.headers.get("x-request-id", "")[:100] or uuid.uuid4().hex
        items = tokens = 0
        headers: dict[str, str] = {}
        try:
            body = await self._body(request)
            single, asked = _items(body, self.limits.items)
            if len(body) <= _INLINE_BYTES:
                questions = self._read(asked)
            else:
                questions = await asyncio.to_thread(self._read, asked)
            items, tokens = len(asked), sum(question.tokens for question in questions)
            if tokens > self.limits.tokens:
                raise RefusalError(
                    422, f"the request has {tokens} tokens; at most {self.limits.tokens} are answered at once"
                )
            if (words := sum(question.words for question in questions)) > self.limits.tokens:
                raise RefusalError(
                    422, f"the request has {words} words; at most {self.limits.tokens} are answered at once"
                )
            answers = [dict(answer) for answer in await self._answered(request, questions)]
            for item, answer in zip(asked, answers, strict=True):
                if isinstance(item, Mapping) and "id" in item:
                    answer["id"] = item["id"]
            self.measures.items.inc(items)
            self.measures.truncated.inc(sum(answer["truncated"] is True for answer in answers))
            status, body = 200, _written(answers[0] if single else {"answers": answers})
        except RefusalError as error:
            status, body = error.status, _written(_error(str(error), error.item))
            if error.retry_after is not None:
                headers["retry-after"] = str(error.retry_after)
        except BusyError as error:
            status, body = 429, _written(_error(str(error)))
            headers["retry-after"] = str(error.seconds)
        except ClientDisconnect:
            status, body = 400, _written(_error("the client left before it was answered"))
        except Exception as error:
            # Not the message: it might hold a part of the text.
            _log(event="failure", request=name, error=type(error).__name__)
            said = _error("the model failed; the server's log has the request's number")
            status, body = 500, _written(said)
        seconds = time.perf_counter() - started
        self.measures.seconds.observe(seconds)
        self.measures.requests.labels("/predict", status).inc()
        _log(
            event="request", request=name, path="/predict", status=status, items=items, tokens=tokens,
            milliseconds=round(1000 * seconds, 2),
        )  # fmt: skip
        return Response(body, status, {**headers, "x-request-id": name}, "application/json")

    async def info(self, _: Request) -> Response:
        described = asdict(self.predictor.manifest)
        described |= {
            "serving": self.predictor.precision,
            "early_exit": self.predictor.threshold < FULL_DEPTH,
            "limits": asdict(self.limits),
            "ligero": ligero.__version__,
        }
        return _json(described)

    async def live(self, _: Request) -> Response:
        return _json({"live": True})

    async def ready(self, _: Request) -> Response:
        """Whether the model still gives the answer that the export stored."""
        try:
            await self.batcher.in_worker(self.predictor.check)
        except LigeroError as error:
            return _json(_error(str(error)), 503)
        return _json({"ready": True})

    async def metrics(self, _: Request) -> Response:
        return Response(self.measures.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def openapi(self, _: Request) -> Response:
        return _json(openapi(self.predictor.manifest, ligero.__version__))

    async def _body(self, request: Request) -> bytes:
        coding = request.headers.get("content-encoding", "identity")
        if coding.strip().lower() != "identity":
            raise RefusalError(415, f"the body is in the encoding '{coding}'; send it as it is")
        limit = self.limits.body_bytes
        too_large = RefusalError(413, f"the body is larger than {limit} bytes")
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > limit:
            raise too_large
        body = bytearray()
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                async for part in request.stream():
                    body += part
                    if len(body) > limit:
                        raise too_large
        except TimeoutError as error:
            raise RefusalError(
                408, f"the body did not arrive within {self.limits.body_seconds:g} s"
            ) from error
        return bytes(body)

    async def _answered(self, request: Request, questions: list[Question]) -> list[Answer]:
        """The questions' answers; they leave the queue with a client that does not wait for them.

        Raises:
            ClientDisconnect: it has left.
            BusyError: the queue is full.
        """
        answering = asyncio.create_task(self.batcher.answer(questions))
        leaving = asyncio.create_task(_left(request))
        try:
            await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                raise ClientDisconnect
            return answering.result()
        finally:
            answering.cancel()
            leaving.cancel()

    def _read(self, items: list[Any]) -> list[Question]:
        questions = []
        for number, item in enumerate(items, start=1):
            try:
                questions.append(self.predictor.read(item))
            except InputError as error:
                raise RefusalError(422, f"item {number}: {error}", number) from error
        return questions


def serve(
    folder: Path | str,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    precision: Precision | Literal["auto"] = "auto",
    threads: int | None = None,
    full_depth: bool = False,
    limits: Limits | None = None,
) -> None:
    """Serve an exported model until SIGTERM or SIGINT; running requests are then answered first.

    Logs are JSON lines on standard error, without texts. The first says `listening` with the URL.

    Args:
        host: only this machine by default; a container needs 0.0.0.0.
        port: 0 takes a free one.
        precision, threads, full_depth: see `Predictor`.

    Raises:
        LigeroError: the folder is not in order, its graph gives another answer than it did when it was exported, or the address
            is taken.
    """
    chosen = limits or Limits()
    predictor = Predictor(folder, precision=precision, threads=threads, full_depth=full_depth)
    predictor.check()
    server = Server(predictor, chosen)
    listening = _listen(host, port)
    logging.getLogger().addHandler(_JsonLines(logging.WARNING))
    config = uvicorn.Config(
        server.app(),
        log_config=None,
        access_log=False,
        server_header=False,
        http="h11",
        timeout_graceful_shutdown=chosen.drain_seconds,
    )
    address = listening.getsockname()
    manifest = predictor.manifest
    _log(
        event="listening", url=f"http://{address[0]}:{address[1]}", model=manifest.model, task=manifest.task,
        precision=predictor.precision,
    )  # fmt: skip
    # uvicorn raises the signal that stopped it once more when all is done; by then it means nothing.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    uvicorn.Server(config).run(sockets=[listening])
    _log(event="stopped")


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket; its connections inherit that small packets are sent at once, or each answer would wait 40 ms for the
    client's acknowledgement of its head."""
    if not host:  # the system would take it for every address of this machine
        raise LigeroError(
            "--host: it is empty; name an address, such as 127.0.0.1, or 0.0.0.0 for other machines"
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:  # a port beyond 65535 overflows
        reason = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise LigeroError(f"cannot listen on {host}:{port}: {reason}; choose another host or port") from error
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


async def _left(request: Request) -> None:
    """Wait until the client of a request whose body was read has left."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _items(body: bytes, limit: int) -> tuple[bool, list[Any]]:
    """Whether the request is a single item, and its items."""
    try:
        value = strict_json(body)
    except UnicodeDecodeError as error:
        raise RefusalError(400, "the body is not JSON: it is not UTF-8") from error
    except RecursionError as error:
        raise RefusalError(400, "the body is not JSON: it is nested too deeply") from error
    except ValueError as error:
        raise RefusalError(400, f"the body is not JSON: {error}") from error
    if not isinstance(value, dict) or "items" not in value:
        return True, [value]
    if unknown := [key for key in value if key != "items"]:
        raise RefusalError(422, f"unknown key '{unknown[0]}' next to 'items'")
    items = value["items"]
    if not isinstance(items, list) or not items:
        raise RefusalError(422, "'items' must be a list of at least one item")
    if len(items) > limit:
        raise RefusalError(422, f"{len(items)} items; at most {limit} are answered at once")
    return False, items


def _error(message: str, item: int | None = None) -> Failure:
    return {"error": {"message": message, "item": item} if item else {"message": message}}


def _json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(_written(content), status, headers, "application/json")


def _written(content: Any) -> bytes:
    """JSON.

    Raises:
        ValueError: a number that JSON has not, of a model that computes none.
    """
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # Half of a surrogate pair, which an id may hold, is written as the client wrote it, \udXXX.
    return text.encode(errors="backslashreplace")


async def _no_such(request: Request, error: Exception) -> Response:
    """No such path, or another method than it has."""
    assert isinstance(error, HTTPException)
    message = f"{request.method} {request.url.path}: {error.detail}; /openapi.json lists what there is"
    return _json(_error(message), error.status_code, error.headers)


class _JsonLines(logging.Handler):
    """What libraries have to say, such as uvicorn of a request that is no HTTP: without arguments, which might hold a text."""

    def emit(self, record: logging.LogRecord) -> None:
        _log(event="note", level=record.levelname.lower(), source=record.name, message=str(record.msg))


def _log(**values: Any) -> None:
    print(json.dumps({"time": round(time.time(), 3), **values}), file=sys.stderr, flush=True)
