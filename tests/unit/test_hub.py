"""Models from the hub: a small hub on this machine, whose commits are recorded at first download and enforced."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from ligero.settings.load import load_study
from ligero.settings.models import Architecture, HubModel
from ligero.settings.yaml_files import read_yaml

PROJECT = Path(__file__).parents[2]
OLD, NEW = "0" * 39 + "1", "0" * 39 + "2"


class Hub:
    """Serves repositories (name -> newest commit) and commits (sha -> file -> content) as huggingface.co does."""

    def __init__(self) -> None:
        self.newest: dict[str, str] = {}
        self.commits: dict[str, dict[str, bytes]] = {}
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(f"{self.command} {self.path}")
                outer.answer(self)

            do_HEAD = do_GET  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        parts = handler.path.partition("?")[0].strip("/").split("/")
        api = parts[:2] == ["api", "models"]
        name = "/".join(parts[2:4] if api else parts[:2])
        kind, revision = parts[4:6] if api else parts[2:4]
        commit = self.newest.get(name) if revision == "main" else revision
        if name not in self.newest or commit not in self.commits:
            self.send(handler, 404, b"{}", **{"X-Error-Code": "RepoNotFound"})
            return
        files = self.commits[commit]
        if kind == "revision":
            self.send(handler, 200, json.dumps({"id": name, "sha": commit, "siblings": []}).encode())
        elif kind == "tree":
            entries = [
                {"type": "file", "path": path, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for path, content in files.items()
            ]
            self.send(handler, 200, json.dumps(entries).encode())
        else:
            content = files["/".join(parts[4:])]
            tag = f'"{hashlib.sha1(content).hexdigest()}"'
            self.send(handler, 200, content, **{"ETag": tag, "X-Repo-Commit": commit})

    def send(self, handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command == "GET":
            handler.wfile.write(body)


@pytest.fixture
def hub() -> Iterator[Hub]:
    running = Hub()
    running.newest = {"o/old-name": OLD}
    running.commits[OLD] = {
        "config.json": b"{}",
        "model.safetensors": b"weights",
        "flax_model.msgpack": b"no",
    }
    running.commits[NEW] = {"config.json": b"{}", "model.safetensors": b"better!"}
    yield running
    running.http.shutdown()
    running.http.server_close()


FETCH = """
import sys
from pathlib import Path
from ligero.common.errors import run_program
from ligero.models.hub import fetch_from_hub
from ligero.settings.models import Architecture, HubModel
from ligero.sources.checksums import SourcesLock
def main():
    model = HubModel.model_validate_json(sys.argv[1])
    folder, source = fetch_from_hub(model, Path(sys.argv[2]), SourcesLock(Path("lock.json")))
    print(source.hub, source.revision, sorted(path.name for path in folder.iterdir()))
run_program(main)
"""


def fetch(hub: Hub, folder: Path, cache: str = "cache", **settings: Any) -> subprocess.CompletedProcess[str]:
    """In a process of its own, because huggingface_hub reads the hub's address when it is imported."""
    model = HubModel(id="o/name", aliases=("o/old-name",), **settings)
    environment = {
        "HF_ENDPOINT": hub.url,
        "PYTHONPATH": str(PROJECT / "workflow"),
        "PATH": os.environ["PATH"],
    }
    environment |= {"HOME": str(folder), "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    command = [sys.executable, "-c", FETCH, model.model_dump_json(), cache]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_the_first_download_decides_the_commit_for_all_later_ones(hub: Hub, tmp_path: Path) -> None:
    first = fetch(hub, tmp_path)
    assert first.returncode == 0, first.stderr
    assert first.stdout.split(" ", 2) == ["o/old-name", OLD, "['config.json', 'model.safetensors']\n"]
    assert f"o/name: revision not known before; recorded commit {OLD} of o/old-name" in first.stderr
    (entry,) = json.loads((tmp_path / "lock.json").read_text()).items()
    assert entry[0] == "o/name@newest" and entry[1]["revision"] == OLD
    assert entry[1]["files"]["model.safetensors"] == {
        "sha256": hashlib.sha256(b"weights").hexdigest(), "bytes": 7,
    }  # fmt: skip
    hub.newest["o/old-name"] = NEW
    again = fetch(hub, tmp_path, cache="another")
    assert again.stdout.split()[1] == OLD and "recorded" not in again.stderr
    hub.commits[OLD]["model.safetensors"] = b"weighty"
    changed = fetch(hub, tmp_path, cache="third")
    assert changed.returncode != 0 and "Traceback" not in changed.stderr
    for words in (
        hashlib.sha256(b"weights").hexdigest(),
        hashlib.sha256(b"weighty").hexdigest(),
        "o/name@newest",
    ):
        assert words in changed.stderr


def test_a_pinned_commit_is_fetched_and_afterwards_needs_no_network(hub: Hub, tmp_path: Path) -> None:
    hub.newest["o/old-name"] = NEW
    assert fetch(hub, tmp_path, revision=OLD).stdout.split()[1] == OLD
    asked = len(hub.asked)
    hub.http.shutdown()
    hub.http.server_close()
    offline = fetch(hub, tmp_path, revision=OLD)
    assert offline.returncode == 0, offline.stderr
    assert len(hub.asked) == asked


@pytest.mark.parametrize("is_listed", [True, False])
def test_an_incomplete_cache_is_never_recorded_as_the_first_download(
    hub: Hub, tmp_path: Path, is_listed: bool
) -> None:
    assert fetch(hub, tmp_path).returncode == 0
    (tmp_path / "lock.json").unlink()
    model = tmp_path / "cache/models--o--old-name"
    (model / "snapshots" / OLD / "model.safetensors").unlink()
    if not is_listed:  # another program's cache, or an older library's
        shutil.rmtree(model / "trees")
    url, hub.url = hub.url, "http://127.0.0.1:9"
    offline = fetch(hub, tmp_path)
    assert offline.returncode == 2 and "incomplete" in offline.stderr and "with network" in offline.stderr
    assert not (tmp_path / "lock.json").exists()
    hub.url = url
    again = fetch(hub, tmp_path)
    assert again.returncode == 0, again.stderr
    assert "model.safetensors" in (tmp_path / "lock.json").read_text()


def test_the_registry_knows_every_model_of_the_thesis() -> None:
    known = read_yaml(PROJECT / "resources/sources.yaml")["hub_models"]
    albeto = {f"dccuchile/albert-{size}-spanish" for size in ("tiny", "base", "large", "xlarge", "xxlarge")}
    students = {f"dccuchile/albert-base-{layers}-spanish" for layers in (2, 4, 6, 8, 10)}
    study = load_study(yaml.safe_load((PROJECT / "config/thesis.yaml").read_text()), PROJECT)
    used = {model.hub.id for model in study.models.values() if model.hub}
    assert albeto | students | used == set(known)
    architectures = {
        name: Architecture.model_validate(entry.pop("architecture")) for name, entry in known.items()
    }
    for model_id, model_settings in study.models.items():
        name = (
            model_settings.hub.id
            if model_settings.hub
            else model_id.replace("albeto", "dccuchile/albert") + "-spanish"
        )
        assert architectures[name] == model_settings.architecture
    assert [architectures[f"dccuchile/albert-base-{n}-spanish"].num_hidden_layers for n in (2, 10)] == [2, 10]
    for name, entry in known.items():
        model = HubModel(id=name, **entry)
        assert model.licence and model.citation, name
        assert model.revision is None or len(model.revision) == 40, name


def test_the_registry_fills_what_a_configuration_leaves_open(default_config: dict[str, Any]) -> None:
    model = default_config["models"]["distilbeto"]
    del model["tokenizer"]
    model |= {"weights": "hub", "hub": {"id": "dccuchile/distilbert-base-spanish-uncased", "revision": OLD}}
    hub = load_study(default_config, PROJECT).models["distilbeto"].hub
    assert hub is not None and hub.revision == OLD
    assert hub.aliases[-1] == "CenIA/distillbert-base-spanish-uncased" and "ALBETO" in hub.citation
