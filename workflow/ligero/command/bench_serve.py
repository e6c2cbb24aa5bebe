"""`ligero bench-serve`: requests per second of `ligero serve`, and how long they take, with several numbers of clients.

Server and clients run on this machine and share its cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TypedDict

import numpy as np

from ligero.command.bench import TEXTS, items_for
from ligero.common.errors import ConfigurationError, LigeroError
from ligero.serving.answers import Item
from ligero.serving.manifest import Manifest, Precision

_SERVE = "import sys; from ligero.serving.app import serve; serve(sys.argv[1], port=0, precision=sys.argv[2])"


class Load(TypedDict):
    """What a number of clients got, each sending one request after the other."""

    clients: int
    requests: int
    requests_per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    server_cpu_ms_per_request: float


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    if args.seconds <= 0 or min(args.clients) < 1:
        raise ConfigurationError("--seconds and --clients: expected numbers above 0")
    folder = Path(args.folder).expanduser()
    manifest = Manifest.read(folder)
    items, origin = items_for(args, manifest, folder)
    loads = measure(folder, items, args.clients, args.seconds, args.precision)
    precision: Precision = manifest.precision if args.precision == "auto" else args.precision
    score = manifest.scores[precision]["score"] if precision in manifest.scores else None
    if args.json:
        print(json.dumps({"precision": precision, "score": score, "texts": origin, "loads": loads}))
        return 0
    shown = "-" if score is None else f"{score:.2f}"
    print(f"{manifest.name} on {manifest.task}, {precision}; test score {shown}; texts: {origin}")
    columns = list(Load.__annotations__)
    print("  ".join(columns))
    for load in loads:
        cells = map(str, load.values())
        print("  ".join(f"{cell:>{len(name)}}" for name, cell in zip(columns, cells, strict=True)))
    return 0


def measure(
    folder: Path, items: Sequence[Item], clients: Sequence[int], seconds: float, precision: str = "auto"
) -> list[Load]:
    """Serve a folder on a free port, and load it with each number of clients for some seconds.

    Raises:
        LigeroError: the server did not start, or refused a request.
    """
    requests = [_request(item) for item in islice(items, TEXTS)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, "-c", _SERVE, str(folder), precision],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as server:
        assert server.stderr
        first = server.stderr.readline()
        if '"listening"' not in first:
            raise LigeroError(f"the server did not start: {first}{server.stderr.read()}")
        port = int(json.loads(first)["url"].rsplit(":", 1)[1])
        drain = subprocess.Popen(["cat"], stdin=server.stderr, stdout=subprocess.DEVNULL)
        try:
            asyncio.run(_load(port, 1, 0.5, requests))  # warms up
            return [_of(server.pid, port, count, seconds, requests) for count in clients]
        finally:
            server.terminate()
            server.wait()
            drain.terminate()
            drain.wait()


def _of(process: int, port: int, clients: int, seconds: float, requests: list[bytes]) -> Load:
    before, start = _cpu_seconds(process), time.perf_counter()
    times = asyncio.run(_load(port, clients, seconds, requests))
    used, passed = _cpu_seconds(process) - before, time.perf_counter() - start
    p50, p95, p99 = (round(1000 * float(value), 2) for value in np.percentile(times, [50, 95, 99]))
    return {
        "clients": clients,
        "requests": len(times),
        "requests_per_second": round(len(times) / passed, 1),
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "server_cpu_ms_per_request": round(1000 * used / len(times), 3),
    }


async def _load(port: int, clients: int, seconds: float, requests: list[bytes]) -> list[float]:
    """Seconds of every request."""
    times: list[float] = []
    until = time.perf_counter() + seconds
    shifted = [requests[n % len(requests) :] + requests[: n % len(requests)] for n in range(clients)]
    await asyncio.gather(*(_client(port, own, until, times) for own in shifted))
    return times


async def _client(port: int, requests: list[bytes], until: float, times: list[float]) -> None:
    """Send one request after the other on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    turn = 0
    while time.perf_counter() < until:
        start = time.perf_counter()
        writer.write(requests[turn % len(requests)])
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise LigeroError(f"the server answered {head.splitlines()[0].decode()}")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
        await reader.readexactly(int(length.split(b":")[1]))
        times.append(time.perf_counter() - start)
        turn += 1
    writer.close()


def _request(item: Item) -> bytes:
    body = json.dumps({"text": item} if isinstance(item, str) else item, ensure_ascii=False).encode()
    return b"POST /predict HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: %d\r\n\r\n" % len(body) + body


def _cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
