"""The target `fetch`: kills at any moment, and files of a mirror that are not the published ones."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.builders.scripted_server import Server
from tests.builders.workflow import POCKET, Snakemake, snakemake_command

pytestmark = pytest.mark.slow


def pocket_config() -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(POCKET.read_text(encoding="utf-8"))
    return config


def write_config(config: dict[str, Any], path: Path) -> Path:
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return path


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server(random.Random(1).randbytes(4 << 20))
    yield running
    running.http.shutdown()
    running.http.server_close()


def only_source(url: str) -> dict[str, Any]:
    """A study that reads nothing but one published file, whose checksum nobody knows yet."""
    config = pocket_config()
    config["sources"] = {"published": {"path": "published.bin", "url": url}}
    config["corpus"]["parts"] = ["published"]
    for task in config["tasks"].values():
        shares = {"train": [0.0, 0.8], "validation": [0.8, 0.9], "test": [0.9, 1.0]}
        task["splits"] = {name: {"sources": ["published"], "share": share} for name, share in shares.items()}
    return config


def test_fetch_killed_ten_times_fetches_nothing_twice(project: Path, server: Server, tmp_path: Path) -> None:
    """kill -9 at random moments, of Snakemake with its jobs or of the job alone: what is on disk is never asked for again."""
    config = write_config(only_source(server.url), tmp_path / "study.yaml")
    command = [*snakemake_command(project, config, tmp_path), "--nolock", "--", "fetch"]
    program = [sys.executable, str(project / "workflow/scripts/fetch_source.py"), "--source", "published"]
    program += ["--config", str(tmp_path / "results/config.json")]
    program += ["--destination", str(tmp_path / "results/sources/published.bin")]
    program += ["--lock", str(tmp_path / "results/sources.lock.json")]
    part, whole = tmp_path / "results/sources/.published.bin.part", tmp_path / "results/sources/published.bin"
    on_disk: list[int] = []

    def slow(handler: BaseHTTPRequestHandler) -> None:
        on_disk.append(part.stat().st_size if part.exists() else 0)
        server.whole(handler, pause=0.002)

    server.steps = [slow]
    moments = random.Random(7)
    for kill in range(10):
        with (tmp_path / "said.txt").open("wb") as said:
            process = subprocess.Popen(
                command if kill in (0, 9) else program,
                stdout=said, stderr=subprocess.STDOUT, start_new_session=True, cwd=project,
            )  # fmt: skip
        # After a random stretch of the download; the last time when the file is whole and Snakemake not yet done with it.
        stretch = moments.randrange(450_000) if kill < 9 else len(server.body)
        begun = server.served
        while process.poll() is None and not whole.exists() and server.served <= begun + stretch:
            time.sleep(0.001)
        assert process.poll() is None, (tmp_path / "said.txt").read_text()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    done = subprocess.run(command, capture_output=True, text=True, cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert whole.read_bytes() == server.body and not part.exists()
    lock = json.loads((tmp_path / "results/sources.lock.json").read_text())
    assert lock["published"]["sha256"] == hashlib.sha256(server.body).hexdigest()
    starts = [int(request.get("Range", "bytes=0-")[6:-1]) for request in server.requests]
    assert starts == on_disk, "each download goes on exactly where the file on disk ends"
    # Beside that, a kill loses the one chunk that was being written, and what the sockets held, which nobody can count.
    assert len(starts) > 3 and starts == sorted(starts)


def test_a_corrupted_mirror_file_is_refused_by_its_sum(snakemake: Snakemake, tmp_path: Path) -> None:
    right = random.Random(2).randbytes(1000)
    wrong = right[:100] + bytes([right[100] ^ 1]) + right[101:]
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "published.bin").write_bytes(wrong)
    config = only_source("https://127.0.0.1:9/published.bin") | {"mirror": str(tmp_path / "mirror")}
    config["sources"]["published"] |= {"sha256": hashlib.sha256(right).hexdigest(), "bytes": len(right)}
    goal = "results/sources/published.bin"
    done = snakemake("--", goal, configfile=write_config(config, tmp_path / "study.yaml"), folder=tmp_path)
    said = done.stdout + done.stderr
    assert done.returncode != 0 and "Traceback" not in said
    assert hashlib.sha256(right).hexdigest() in said and hashlib.sha256(wrong).hexdigest() in said
    assert not (tmp_path / goal).exists()
