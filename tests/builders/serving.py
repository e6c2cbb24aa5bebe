"""A server process on a free port of this machine."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

PROJECT = Path(__file__).parents[2]
SERVE = (
    "import json, sys\n"
    "from ligero.serving.app import Limits, serve\n"
    "serve(sys.argv[1], port=0, precision=sys.argv[2], threads=1, limits=Limits(**json.loads(sys.argv[3])))"
)


@dataclass
class Running:
    """A server that listens.

    Attributes:
        log: the lines that it has written on standard error so far.
    """

    process: subprocess.Popen[str]
    url: str
    log: list[str] = field(default_factory=list)

    def post(self, content: Any, **headers: str) -> httpx.Response:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return httpx.post(f"{self.url}/predict", content=body, headers=headers, timeout=60, trust_env=False)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", timeout=60, trust_env=False)

    def resident(self) -> int:
        """Bytes of memory in use."""
        line = next(
            line
            for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
            if line.startswith("VmRSS")
        )
        return int(line.split()[1]) * 1024


@contextmanager
def serving(folder: Path, precision: str = "fp32", **limits: float) -> Iterator[Running]:
    """Serve an exported folder until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(folder), precision, json.dumps(limits)],
        cwd=PROJECT / "workflow",
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    try:
        first = process.stderr.readline()
        assert '"listening"' in first, first + process.stderr.read()
        running = Running(process, json.loads(first)["url"], [first])
        reader = threading.Thread(target=lambda: running.log.extend(process.stderr or ()), daemon=True)
        reader.start()
        for _ in range(600):
            try:
                if running.get("/health/live").status_code == 200:
                    break
            except httpx.ConnectError:
                pass
        yield running
        reader_deadline = 30
        process.terminate()
        process.wait(reader_deadline)
        reader.join(reader_deadline)
    finally:
        process.kill()
        process.wait()
