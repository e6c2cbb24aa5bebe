"""A server process on this machine, and HTTP requests to it as bytes: what benchmarks of `ligero serve` share."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ligero.common.errors import LigeroError
from ligero.serving.answers import Item

_SERVE = "import sys; from ligero.serving.app import serve; serve(sys.argv[1], port=0, precision=sys.argv[2])"


@dataclass(frozen=True)
class Served:
    """A server process that listens on a port of this machine and writes its log to a file."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path


@contextmanager
def served(folder: Path, precision: str) -> Iterator[Served]:
    """Serve a folder on a free port until the block ends.

    Raises:
        LigeroError: the server did not start.
    """
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    line = [sys.executable, "-c", _SERVE, str(folder), precision]
    with TemporaryDirectory() as place:
        log = Path(place) / "log.jsonl"
        with log.open("wb") as said, subprocess.Popen(line, stderr=said, env=environment) as process:
            try:
                yield Served(process, _port(process, log), log)
            finally:
                process.terminate()
                process.wait()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    while "\n" not in (said := log.read_text()) and process.poll() is None:
        time.sleep(0.02)
    if '"listening"' not in said:
        process.wait()
        raise LigeroError(f"the server did not start: {log.read_text().strip()}")
    return int(json.loads(said.splitlines()[0])["url"].rsplit(":", 1)[1])


async def exchange(
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], request: bytes
) -> tuple[int, bytes]:
    """Status and body of the answer to a request.

    Raises:
        asyncio.IncompleteReadError, ConnectionError: the server closed the connection before.
    """
    reader, writer = connection
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")), b":0")
    return int(head.split(b" ", 2)[1]), await reader.readexactly(int(length.split(b":")[1]))


def request_of(item: Item) -> bytes:
    """An item as an HTTP request."""
    return post(json.dumps({"text": item} if isinstance(item, str) else item, ensure_ascii=False).encode())


def post(body: bytes, length: int | None = None) -> bytes:
    """A body as an HTTP request; `length` is what its head says, where that is not the body's own."""
    head = b"POST /predict HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: %d\r\n\r\n"
    return head % (len(body) if length is None else length) + body
