"""`ligero bench-serve`: requests per second of `ligero serve`, and how long they take, with several numbers of clients.

Server and clients run on this machine and share its cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TypedDict

import numpy as np

from ligero.command.bench import TEXTS, items_for
from ligero.command.served import exchange, request_of, served
from ligero.common.errors import ConfigurationError, LigeroError
from ligero.common.files import user_path
from ligero.efficiency.truncation import truncate
from ligero.serving.answers import Item
from ligero.serving.manifest import Manifest, Precision


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
    if args.seconds <= 0 or min(args.clients) < 1 or args.rate <= 0 or (args.soak or 1) <= 0:
        raise ConfigurationError("--seconds, --clients, --soak and --rate: expected numbers above 0")
    folder = user_path(args.folder)
    manifest = Manifest.read(folder)
    items, origin = items_for(args, manifest, folder)
    if args.soak is not None:
        from ligero.command.soak import run as soak

        return soak(args, manifest, folder, items)
    loads = measure(folder, items, args.clients, args.seconds, args.precision)
    precision: Precision = manifest.precision if args.precision == "auto" else args.precision
    early = manifest.leaving_early(precision)
    record = early["test"] if early else manifest.scores.get(precision)
    score = record["score"] if record else None
    if args.json:
        said = {"precision": precision, "early_exit": early is not None, "score": score, "texts": origin}
        print(json.dumps({**said, "loads": loads}))
        return 0
    shown, reading = "-" if score is None else str(truncate(score)), ", early exit" if early else ""
    print(f"{manifest.name} on {manifest.task}, {precision}{reading}; test score {shown}; texts: {origin}")
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
    requests = [request_of(item) for item in islice(items, TEXTS)]
    with served(folder, precision) as server:
        asyncio.run(_load(server.port, 1, 0.5, requests))  # warms up
        return [_of(server.process.pid, server.port, count, seconds, requests) for count in clients]


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
    connection = await asyncio.open_connection("127.0.0.1", port)
    turn = 0
    while time.perf_counter() < until:
        start = time.perf_counter()
        status, _ = await exchange(connection, requests[turn % len(requests)])
        if status != 200:
            raise LigeroError(f"the server answered with status {status}")
        times.append(time.perf_counter() - start)
        turn += 1
    connection[1].close()


def _cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
