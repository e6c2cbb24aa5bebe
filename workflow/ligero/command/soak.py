"""`ligero bench-serve --soak`: minutes of texts of all lengths and malformed requests; says whether anything was wrong, grew or was lost."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TypedDict

from ligero.command.served import Served, exchange, post, request_of, served
from ligero.common.errors import LigeroError
from ligero.serving.answers import Answer, Item
from ligero.serving.manifest import Manifest
from ligero.serving.predictor import Predictor, decisions, differing

CLIENTS = 8
MALFORMED_EVERY = 5
"""One request in so many is malformed."""
WARM_UP = 0.3
"""Share of the time after which memory must not grow any more."""
MOST_GROWTH = 5.0
"""Percent of memory after the warm-up."""
_RUSH = 2.0
"""Seconds without pauses, at the end of which the server is stopped."""
_STOPPED_WITHIN = 60.0

_BODIES = (
    b"", b"{", b"\xff", b"[" * 19_000, b'{"text": "a", "id": NaN}', b"3", b"{}", b'{"text": null}', b'{"context": "a"}',
    b'{"text": "a", "question": 3, "extra": 1}', b'{"text": "\\ud800", "context": "\\ud800"}', b'{"items": []}', b'{"items": 3}',
    b'{"items": [3]}', json.dumps({"items": ["a"] * 257}).encode(),
)  # fmt: skip
MALFORMED: tuple[bytes, ...] = (
    *(post(body) for body in _BODIES),
    post(b"", length=1 << 30),  # too large
    post(b"{", length=50),  # the rest never comes
    b"nonsense\r\n\r\n",
    b"GET /predict HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET /elsewhere HTTP/1.1\r\nhost: x\r\n\r\n",
)
"""Requests that must get a status of 400 to 499, whatever the task."""


class Verdict(TypedDict):
    """What happened."""

    minutes: float
    answers: int
    wrong_answers: int
    ties: int
    """Right answers with another decision than a text read alone gets: two were equally likely, and rounding depends on the batch."""
    malformed: int
    malformed_not_refused: int
    server_errors: int
    """Requests that failed in the server, by its own log, and lines there that are no JSON."""
    megabytes_after_warm_up: float
    megabytes_at_end: float
    growth_percent: float
    lost_when_stopped: int
    """Requests that the server answered and no client received."""
    exit_status: int
    passed: bool


@dataclass
class _Seen:
    """What the clients have seen so far."""

    answers: int = 0
    ties: int = 0
    wrong: list[str] = field(default_factory=list)
    malformed: int = 0
    accepted: list[str] = field(default_factory=list)
    hurry: bool = False


def run(args: argparse.Namespace, manifest: Manifest, folder: Path, items: Sequence[Item]) -> int:
    """Soak, print the verdict, and return 0 if it is good."""
    verdict, faults = soak(
        folder,
        list(of_all_lengths(items, manifest.max_length)),
        60 * args.soak,
        args.rate,
        args.precision,
    )
    for fault in faults:
        print(fault, file=sys.stderr)
    if args.json:
        print(json.dumps(verdict))
    else:
        print("\n".join(f"{name.replace('_', ' ')}: {value}" for name, value in verdict.items()))
    return 0 if verdict["passed"] else 1


def of_all_lengths(items: Sequence[Item], longest: int) -> Iterator[Item]:
    """The items cut to one word, as they are, four times as long, and longer than the model reads, in turn."""
    for number, item in enumerate(items):
        whole = {"text": item} if isinstance(item, str) else dict(item)
        key = next(key for key in ("context", "words", "text") if key in whole)
        given = whole[key]
        words = given if isinstance(given, list) else str(given).split(" ")
        count = (1, len(words), 4 * len(words), longest)[number % 4]
        repeated = (words * math.ceil(count / len(words)))[:count]
        yield {**whole, key: repeated if isinstance(given, list) else " ".join(repeated)}


def soak(
    folder: Path, items: Sequence[Item], seconds: float, rate: float, precision: str
) -> tuple[Verdict, list[str]]:
    """Serve a folder to CLIENTS clients that together send `rate` requests each second, then stop it while they send all they can.

    Answers must be those of a `Predictor` in this process.

    Returns:
        The verdict, and examples of what was wrong.

    Raises:
        LigeroError: the server did not start or ended by itself, or this system has no /proc, where memory is read.
    """
    if not Path("/proc/self/statm").is_file():
        raise LigeroError("--soak reads the server's memory from /proc, which this system does not have")
    predictor = Predictor(folder, precision=precision, threads=1)  # type: ignore[arg-type]
    pairs = list(zip(map(request_of, items), predictor.predict(items), strict=True))
    del predictor
    with served(folder, precision) as server:
        seen, memory = asyncio.run(_soak(server, pairs, seconds, rate))
        status = server.process.wait(_STOPPED_WITHIN)
        lines = server.log.read_text().splitlines()
    stray = [f"the server's log has a line that is no JSON: {line}" for line in lines if line[:1] != "{"]
    log = [json.loads(line) for line in lines if line[:1] == "{"]
    statuses = [event["status"] for event in log if event["event"] == "request"]
    after, end = (
        median(value for share, value in memory if low <= share < low + 0.1) for low in (WARM_UP, 0.9)
    )
    growth = 100 * (end / after - 1)
    errors = sum(status >= 500 for status in statuses) + len(stray)
    lost = statuses.count(200) - seen.answers
    good = not (seen.wrong or seen.accepted or errors or lost or status) and growth <= MOST_GROWTH
    verdict: Verdict = {
        "minutes": round(seconds / 60, 2),
        "answers": seen.answers,
        "wrong_answers": len(seen.wrong),
        "ties": seen.ties,
        "malformed": seen.malformed,
        "malformed_not_refused": len(seen.accepted),
        "server_errors": errors,
        "megabytes_after_warm_up": round(after / 1e6, 1),
        "megabytes_at_end": round(end / 1e6, 1),
        "growth_percent": round(growth, 1),
        "lost_when_stopped": lost,
        "exit_status": status,
        "passed": good,
    }
    return verdict, [*seen.wrong[:5], *seen.accepted[:5], *stray[:5]]


async def _soak(
    server: Served, pairs: Sequence[tuple[bytes, Answer]], seconds: float, rate: float
) -> tuple[_Seen, list[tuple[float, int]]]:
    """What clients saw, and the server's bytes of memory, each with the share of the time that had passed."""
    seen, memory, start = _Seen(), [], time.monotonic()
    page = os.sysconf("SC_PAGE_SIZE")
    clients = [
        asyncio.create_task(_client(server.port, number, pairs, CLIENTS / rate, seen))
        for number in range(CLIENTS)
    ]
    while (share := (time.monotonic() - start) / seconds) < 1:
        if server.process.poll() is not None:
            raise LigeroError(f"the server ended by itself: {server.log.read_text()[-1000:]}")
        resident = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
        memory.append((share, page * resident))
        await asyncio.sleep(min(1.0, seconds / 100))
    seen.hurry = True
    await asyncio.sleep(_RUSH)
    server.process.terminate()
    await asyncio.gather(*clients)
    return seen, memory


async def _client(
    port: int, number: int, pairs: Sequence[tuple[bytes, Answer]], pause: float, seen: _Seen
) -> None:
    """Send requests, and malformed ones on connections of their own, until the server listens no more."""
    turn = number
    try:
        connection = await asyncio.open_connection("127.0.0.1", port)
        while True:
            began, turn = time.monotonic(), turn + 1
            if turn % MALFORMED_EVERY == 0 and not seen.hurry:
                connection[1].close()  # the server would, if the malformed request takes seconds
                await _send_malformed(port, MALFORMED[turn // MALFORMED_EVERY % len(MALFORMED)], seen)
                connection = await asyncio.open_connection("127.0.0.1", port)
            else:
                request, expected = pairs[(turn + number * len(pairs) // CLIENTS) % len(pairs)]
                status, body = await exchange(connection, request)
                seen.answers += status == 200
                if status != 200:
                    difference = f"status {status}: {body[:200]!r}"
                else:
                    answer = json.loads(body)
                    difference = differing(answer, expected)
                    seen.ties += not difference and decisions(answer) != decisions(expected)
                if difference:
                    seen.wrong.append(f"wrong answer to {request[-200:]!r}: {difference}")
            if not seen.hurry:
                await asyncio.sleep(max(0.0, pause - (time.monotonic() - began)))
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        if not seen.hurry:
            seen.wrong.append(f"the server closed a connection: {error!r}")


async def _send_malformed(port: int, request: bytes, seen: _Seen) -> None:
    connection = await asyncio.open_connection("127.0.0.1", port)
    status, body = await exchange(connection, request)
    seen.malformed += 1
    if not 400 <= status < 500:
        seen.accepted.append(f"status {status} for {request[:200]!r}: {body[:200]!r}")
    connection[1].close()
