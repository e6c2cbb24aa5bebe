"""Requests per second and their time at 1, 8 and 64 clients; writes a CSV.

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
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import _workflow  # noqa: F401
from _measurements import write_measurements
from ligero.common.errors import LigeroError, run_program

COLUMNS = (
    "clients",
    "requests",
    "requests_per_second",
    "p50_ms",
    "p95_ms",
    "p99_ms",
    "server_cpu_ms_per_request",
)
SERVE = "import sys; from ligero.serving.app import serve; serve(sys.argv[1], port=0)"


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


async def _load(port: int, clients: int, seconds: float, requests: list[bytes]) -> list[float]:
    times: list[float] = []
    until = time.perf_counter() + seconds
    shifted = [requests[n % len(requests) :] + requests[: n % len(requests)] for n in range(clients)]
    await asyncio.gather(*(_client(port, own, until, times) for own in shifted))
    return times


def _requests(texts: list[str]) -> list[bytes]:
    bodies = [json.dumps({"text": text}, ensure_ascii=False).encode() for text in texts]
    head = b"POST /predict HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: %d\r\n\r\n"
    return [head % len(body) + body for body in bodies]


def _cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    parser.add_argument(
        "--folder", type=Path, help="exported classifier; default: ALBETO tiny with random weights, int8"
    )
    parser.add_argument("--texts", type=Path, help="one text per line; default: random words")
    parser.add_argument("--tokens", type=int, default=30, help="of a random text, special ones included")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--seconds", type=float, default=5.0, help="for each number of clients")
    args = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = args.folder
        if folder is None:
            from untrained_models import TINY, Untrained, write_folder

            folder = Path(name) / "model"
            write_folder(Untrained(TINY), folder)
        if args.texts:
            texts = args.texts.read_text(encoding="utf-8").splitlines()
        else:
            ids = np.random.default_rng(0).integers(5, 31_000, (64, args.tokens - 2))
            texts = [" ".join(f"w{word}" for word in row) for row in ids.tolist()]
        lines = measure(folder, _requests(texts), args.clients, args.seconds)
    write_measurements(args.out, COLUMNS, lines)


def measure(
    folder: Path, requests: list[bytes], clients: list[int], seconds: float
) -> list[tuple[float, ...]]:
    """A line of COLUMNS for each number of clients."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "workflow")}
    with subprocess.Popen(
        [sys.executable, "-c", SERVE, str(folder)], stderr=subprocess.PIPE, text=True, env=environment
    ) as server:
        assert server.stderr
        first = server.stderr.readline()
        if '"listening"' not in first:
            raise LigeroError(f"the server did not start: {first}{server.stderr.read()}")
        port = int(json.loads(first)["url"].rsplit(":", 1)[1])
        drain = subprocess.Popen(["cat"], stdin=server.stderr, stdout=subprocess.DEVNULL)
        try:
            asyncio.run(_load(port, 1, 0.5, requests))
            lines: list[tuple[float, ...]] = []
            for count in clients:
                before, start = _cpu_seconds(server.pid), time.perf_counter()
                times = asyncio.run(_load(port, count, seconds, requests))
                used, passed = _cpu_seconds(server.pid) - before, time.perf_counter() - start
                p50, p95, p99 = (
                    round(1000 * float(value), 2) for value in np.percentile(times, [50, 95, 99])
                )
                lines.append(
                    (
                        count,
                        len(times),
                        round(len(times) / passed, 1),
                        p50,
                        p95,
                        p99,
                        round(1000 * used / len(times), 3),
                    )
                )
            return lines
        finally:
            server.terminate()
            server.wait()
            drain.terminate()
            drain.wait()


if __name__ == "__main__":
    run_program(main)
