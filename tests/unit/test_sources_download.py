"""Downloads from a real HTTP server that misbehaves in every way that servers do."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from ligero.sources import download as download_module
from ligero.sources.checksums import Expectation
from ligero.sources.download import Patience, download
from ligero.sources.errors import ChecksumError, FetchError, NotThereError
from tests.builders.scripted_server import BODY, QUICK, Server

SUM = hashlib.sha256(BODY).hexdigest()
OTHER = bytes(reversed(BODY))
NOTHING = Expectation(None, None)
ROOT = Path(__file__).parents[2]


def leftovers(folder: Path) -> list[str]:
    """What lies in a folder beside lock guards."""
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".guard"))


def test_a_whole_file_arrives(server: Server, tmp_path: Path) -> None:
    assert download(server.url, tmp_path / "f", Expectation(SUM, len(BODY)), QUICK) == (SUM, len(BODY))
    assert leftovers(tmp_path) == ["f"]


def test_cut_connections_are_resumed_without_fetching_anything_twice(server: Server, tmp_path: Path) -> None:
    server.steps = [server.cut, server.cut, server.cut, server.whole]
    download(server.url, tmp_path / "f", Expectation(SUM, None), QUICK)
    assert (tmp_path / "f").read_bytes() == BODY
    assert [request.get("Range") for request in server.requests] == [
        None, "bytes=300000-", "bytes=600000-", "bytes=900000-",
    ]  # fmt: skip
    assert server.served == len(BODY)


def test_a_file_that_changed_meanwhile_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    def changed(handler: BaseHTTPRequestHandler) -> None:
        server.etag = '"v2"'
        server.whole(handler)

    server.steps = [server.cut, changed]
    download(server.url, tmp_path / "f", NOTHING, QUICK)
    assert (tmp_path / "f").read_bytes() == BODY
    assert server.served == len(BODY) + 300_000


def changed(server: Server, body: bytes, etag: str | None) -> Callable[[BaseHTTPRequestHandler], None]:
    """A step: the file is another one from now on, and If-Range is ignored."""

    def step(handler: BaseHTTPRequestHandler) -> None:
        server.body, server.etag = body, etag
        del handler.headers["If-Range"]
        server.whole(handler)

    return step


@pytest.mark.parametrize(
    "etag, new_etag, new_body, expects_sum",
    [
        (None, None, OTHER, False),
        (None, None, OTHER, True),
        (None, None, OTHER + b"more", True),
        ('"v1"', '"v2"', OTHER, False),
        ('"v1"', None, OTHER + b"more", False),
    ],
    ids=[
        "nothing tells",
        "the sum tells",
        "the length and the sum tell",
        "the ETag tells",
        "the length tells",
    ],
)
def test_a_file_is_never_put_together_from_two_versions(
    server: Server,
    tmp_path: Path,
    etag: str | None,
    new_etag: str | None,
    new_body: bytes,
    expects_sum: bool,
) -> None:
    server.etag = etag
    server.steps = [server.cut, changed(server, new_body, new_etag)]
    expected = Expectation(hashlib.sha256(new_body).hexdigest(), None) if expects_sum else NOTHING
    download(server.url, tmp_path / "f", expected, QUICK)
    assert (tmp_path / "f").read_bytes() == new_body


def test_a_server_that_changes_its_file_at_every_cut_is_given_up(server: Server, tmp_path: Path) -> None:
    def cut_and_changed(handler: BaseHTTPRequestHandler) -> None:
        del handler.headers["If-Range"]
        server.etag = f'"{len(server.requests)}"'
        server.cut(handler)

    server.steps = [cut_and_changed]
    with pytest.raises(FetchError, match="given up after 4 attempts without progress"):
        download(server.url, tmp_path / "f", NOTHING, QUICK)


def test_what_could_be_resumed_with_a_checksum_asks_for_one(server: Server, tmp_path: Path) -> None:
    server.etag = None
    server.steps = [server.cut]
    with pytest.raises(FetchError, match=r"given up after 4 attempts .*names no version .*'sha256'"):
        download(server.url, tmp_path / "f", NOTHING, QUICK)
    download(server.url, tmp_path / "f", Expectation(SUM, None), QUICK)
    assert (tmp_path / "f").read_bytes() == BODY


def test_a_whole_part_of_a_killed_run_is_not_taken_for_another_version(
    server: Server, tmp_path: Path
) -> None:
    part = tmp_path / ".f.part"

    def leave(total: int | None) -> None:
        part.write_bytes(BODY)
        note = {"url": server.url, "validator": '"v1"', "total": total}
        part.with_name(".f.part.json").write_text(json.dumps(note))

    server.steps = [changed(server, OTHER, '"v2"')]
    leave(total=len(BODY))  # complete, whatever the server has today
    download(server.url, tmp_path / "f", NOTHING, QUICK)
    assert (tmp_path / "f").read_bytes() == BODY and server.requests == []

    def nothing_left(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(416)
        handler.send_header("Content-Range", f"bytes */{len(OTHER)}")
        handler.send_header("ETag", '"v2"')
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    server.steps = [nothing_left, changed(server, OTHER, '"v2"')]
    leave(total=None)  # perhaps complete, but of another version
    download(server.url, tmp_path / "f", NOTHING, QUICK)
    assert (tmp_path / "f").read_bytes() == OTHER


def test_a_server_without_ranges_is_asked_for_everything(server: Server, tmp_path: Path) -> None:
    def ignores_ranges(handler: BaseHTTPRequestHandler) -> None:
        del handler.headers["Range"]
        server.whole(handler)

    server.steps = [server.cut, ignores_ranges]
    download(server.url, tmp_path / "f", Expectation(SUM, None), QUICK)
    assert (tmp_path / "f").read_bytes() == BODY


def test_unavailable_then_there(server: Server, tmp_path: Path) -> None:
    waited: list[float] = []
    server.steps = [server.status(503, Retry_After="7"), server.status(503), server.whole]
    patience = Patience(attempts=4, first_wait=1.0, sleep=waited.append)
    download(server.url, tmp_path / "f", NOTHING, patience)
    assert waited == [7.0, 2.0]


def test_given_up_after_all_attempts(server: Server, tmp_path: Path) -> None:
    server.steps = [server.status(503)]
    with pytest.raises(
        FetchError, match="given up after 4 attempts without progress; the server answered 503"
    ):
        download(server.url, tmp_path / "f", NOTHING, QUICK)
    assert len(server.requests) == 4


def test_not_found_and_forbidden_are_not_retried(server: Server, tmp_path: Path) -> None:
    server.steps = [server.status(404)]
    with pytest.raises(NotThereError, match="404"):
        download(server.url, tmp_path / "f", NOTHING, QUICK)
    server.steps = [server.status(403)]
    with pytest.raises(FetchError, match="403 Forbidden"):
        download(server.url, tmp_path / "f", NOTHING, QUICK)
    assert len(server.requests) == 2


def test_redirects_are_followed(server: Server, tmp_path: Path) -> None:
    server.steps = [server.status(302, Location="/elsewhere"), server.whole]
    download(server.url, tmp_path / "f", Expectation(SUM, None), QUICK)
    assert [request["path"] for request in server.requests] == ["/file.bin", "/elsewhere"]


@pytest.mark.parametrize(
    "location", ["http://localhost:{port}/x", "http://[::1]:{port}/x", "http://127.0.0.2:{port}/x"]
)
def test_a_redirect_from_a_public_address_into_this_machine_is_refused_at_once(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: str
) -> None:
    is_inner = download_module._is_inner
    monkeypatch.setattr(download_module, "_is_inner", lambda host: host != "127.0.0.1" and is_inner(host))
    port = str(server.http.server_address[1])
    server.steps = [server.status(302, Location=location.format(port=port)), server.whole]
    with pytest.raises(FetchError, match=r"redirects to .*, an address of this machine .*Correct the URL"):
        download(server.url, tmp_path / "f", Expectation(SUM, None), QUICK)
    assert len(server.requests) == 1 and leftovers(tmp_path) == []


def test_inner_addresses_are_known() -> None:
    inner = ("127.0.0.1", "localhost", "10.1.2.3", "192.168.0.1", "169.254.169.254", "::1", "fd00::1")
    assert [
        host for host in (*inner, "8.8.8.8", "2001:4860:4860::8888") if not download_module._is_inner(host)
    ] == [
        "8.8.8.8",
        "2001:4860:4860::8888",
    ]


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://example.org/x"])
def test_a_redirect_to_another_protocol_is_refused_at_once(
    server: Server, tmp_path: Path, location: str
) -> None:
    server.steps = [server.status(302, Location=location)]
    with pytest.raises(FetchError, match="redirects to an address that is neither http nor https"):
        download(server.url, tmp_path / "f", Expectation(SUM, None), QUICK)
    assert len(server.requests) == 1


def test_a_wrong_checksum_names_both_sums_and_keeps_nothing(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ChecksumError) as caught:
        download(server.url, tmp_path / "f", Expectation("0" * 64, None, "registry of sources"), QUICK)
    assert "0" * 64 in str(caught.value) and SUM in str(caught.value)
    assert leftovers(tmp_path) == []


def test_a_wrong_size_is_refused_before_anything_is_transferred(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ChecksumError, match=r"expected 5 bytes .* announces 1,048,576"):
        download(server.url, tmp_path / "f", Expectation(None, 5), QUICK)
    assert leftovers(tmp_path) == []


def test_a_wrong_half_from_an_earlier_run_is_dropped_and_all_fetched_anew(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / ".f.part").write_bytes(b"x" * 1000)
    (tmp_path / ".f.part.json").write_text(json.dumps({"url": server.url, "validator": None}))
    download(server.url, tmp_path / "f", Expectation(SUM, None), QUICK)
    assert (tmp_path / "f").read_bytes() == BODY
    assert [request.get("Range") for request in server.requests] == ["bytes=1000-", None]


def test_a_full_disk_is_noticed_before(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download_module, "SPARE_BYTES", 1 << 60)
    with pytest.raises(FetchError, match=r"1,048,576 bytes needed in .*free"):
        download(server.url, tmp_path / "f", NOTHING, QUICK)


def test_a_server_that_falls_silent_counts_as_cut(server: Server, tmp_path: Path) -> None:
    def stalls(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(BODY)))
        handler.send_header("ETag", server.etag)
        handler.end_headers()
        server.send(handler, BODY[:100_000])
        time.sleep(1.0)

    server.steps = [stalls, server.whole]
    patience = Patience(attempts=2, first_wait=0.0, read_timeout=0.2, sleep=lambda seconds: None)
    download(server.url, tmp_path / "f", Expectation(SUM, None), patience)
    assert (tmp_path / "f").read_bytes() == BODY


@pytest.mark.slow
def test_killed_ten_times_it_ends_with_the_right_file(server: Server, tmp_path: Path) -> None:
    """kill -9 at ten moments of one download: every start goes on from where the last one was."""
    config = tmp_path / "fetch.py"
    config.write_text(
        "from pathlib import Path\n"
        "from ligero.sources.checksums import Expectation\n"
        "from ligero.sources.download import download\n"
        f"download({server.url!r}, Path({str(tmp_path / 'f')!r}), Expectation({SUM!r}, None))\n"
    )
    server.steps = [lambda handler: server.whole(handler, pause=0.01)]
    kills = 0
    environment = {"PYTHONPATH": str(ROOT / "workflow"), "PATH": "/usr/bin:/bin"}
    part, before = tmp_path / ".f.part", 0
    while not (tmp_path / "f").exists():
        process = subprocess.Popen([sys.executable, str(config)], env=environment, stderr=subprocess.DEVNULL)
        while process.poll() is None and kills < 10:
            if part.exists() and part.stat().st_size > before:
                before = part.stat().st_size
                process.send_signal(signal.SIGKILL)
                kills += 1
            time.sleep(0.002)
        process.wait()
    assert kills == 10
    assert (tmp_path / "f").read_bytes() == BODY
    # Only what was under way in sockets and buffers when a kill came can have been sent twice.
    assert server.served <= len(BODY) + kills * 4 * (1 << 16)
