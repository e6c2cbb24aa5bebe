"""The server as its clients see it: a real process on loopback."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from ligero.serving.predictor import Predictor, differing
from tests.builders.exports import selected_model
from tests.builders.serving import Running, serving

pytestmark = pytest.mark.slow
SECRET = "abcabcabc"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("served")
    selected_model(place / "study", "albert", "sequence_classification").export(place / "out")
    return place / "out"


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Running]:
    with serving(folder, body_bytes=20_000, items=8, tokens=100, body_seconds=0.5) as running:
        yield running


def test_it_answers_one_item_or_many(server: Running, folder: Path) -> None:
    predictor = Predictor(folder, precision="fp32", threads=1)
    first, second = predictor.predict([SECRET, {"id": "x", "text": "de fg"}])
    one = server.post({"text": SECRET}, **{"x-request-id": "mine"})
    assert (one.status_code, one.headers["x-request-id"]) == (200, "mine")
    assert differing(one.json(), first) == ""
    assert differing(server.post(SECRET).json(), first) == ""
    many = server.post({"items": [SECRET, {"id": "x", "text": "de fg"}]}).json()["answers"]
    assert differing(many, [first, second]) == ""


def test_it_says_what_it_serves(server: Running) -> None:
    info = server.get("/info").json()
    assert (info["task_type"], info["labels"], info["serving"]) == (
        "sequence_classification",
        ["no", "sí", "quizá"],
        "fp32",
    )
    assert info["early_exit"] is False
    assert info["limits"]["body_bytes"] == 20_000
    assert server.get("/health/live").json() == {"live": True}
    assert server.get("/health/ready").json() == {"ready": True}
    described = server.get("/openapi.json").json()
    assert set(described["paths"]) == {"/predict", "/info", "/health/live", "/health/ready", "/metrics"}
    assert described["components"]["schemas"]["Answer"]["properties"]["label"] == {"enum": info["labels"]}


MALFORMED: list[tuple[bytes, int, str]] = [
    (b"", 400, "the body is not JSON: Expecting value"),
    (b"{", 400, "the body is not JSON"),
    (b"\xff", 400, "not UTF-8"),
    (b"[" * 19_000, 400, "nested too deeply"),
    (b'{"text": "a", "id": NaN}', 400, "NaN is no number"),
    (b'{"text": "a", "id": 1e999}', 400, "a number is beyond 1.8e308"),
    (b"3", 422, "expected an object with 'text', found a number"),
    (b"{}", 422, "'text' is missing"),
    (b'{"text": null}', 422, "must be a string, found null"),
    (b'{"text": "a", "extra": 1}', 422, "unknown key 'extra'"),
    (b'{"text": "\\ud800"}', 422, "half of a surrogate pair"),
    (b'{"items": []}', 422, "at least one item"),
    (b'{"items": 3}', 422, "at least one item"),
    (b'{"items": ["a"], "more": 1}', 422, "unknown key 'more' next to 'items'"),
    (json.dumps({"items": ["a"] * 9}).encode(), 422, "9 items; at most 8"),
    (json.dumps({"items": ["a", 3]}).encode(), 422, "item 2: expected an object"),
    (json.dumps({"items": ["a" * 30] * 8}).encode(), 422, "the request has 192 tokens; at most 100"),
    (json.dumps("a" * 20_000).encode(), 413, "larger than 20000 bytes"),
]


@pytest.mark.parametrize(("body", "status", "message"), MALFORMED)
def test_malformed_requests_are_refused(server: Running, body: bytes, status: int, message: str) -> None:
    answer = server.post(body)
    assert (answer.status_code, message in answer.json()["error"]["message"]) == (status, True), answer.text


def exchange(server: Running, request: bytes) -> bytes:
    """What comes back for raw bytes until the server closes the connection or says nothing for a while."""
    with socket.create_connection(
        (urlsplit(server.url).hostname, urlsplit(server.url).port), timeout=5
    ) as client:
        client.sendall(request)
        parts = []
        try:
            while part := client.recv(4096):
                parts.append(part)
        except TimeoutError:
            pass
        return b"".join(parts)


def test_what_is_no_request_for_it_is_refused(server: Running) -> None:
    for path, status, said in (("/predict", 405, "Method Not Allowed"), ("/else", 404, "Not Found")):
        answer = server.get(path)
        assert (answer.status_code, answer.json()["error"]["message"]) == (
            status,
            f"GET {path}: {said}; /openapi.json lists what there is",
        )
    assert server.get("/predict").headers["allow"] == "POST"
    compressed = server.post("a", **{"content-encoding": "gzip"})
    assert (compressed.status_code, "'gzip'; send it as it is" in compressed.text) == (415, True)
    assert server.post("a", **{"content-encoding": "identity"}).status_code == 200
    assert exchange(server, b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400")
    endless = b"POST /predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    assert exchange(
        server, endless + b"4000\r\n" + b"a" * 0x4000 + b"\r\n" + b"4000\r\n" + b"a" * 0x4000 + b"\r\n"
    ).startswith(b"HTTP/1.1 413")
    slow = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{"
    assert exchange(server, slow).startswith(b"HTTP/1.1 408")
    assert server.post("a").status_code == 200


def test_figures_are_counted_and_no_text_is_logged(folder: Path) -> None:
    with serving(folder) as running:
        running.post({"items": [SECRET, SECRET * 9]})
        running.post({"text": SECRET, SECRET: 1})
        running.get(f"/{SECRET}")
        exchange(running, f"{SECRET}\r\n\r\n".encode())
        figures = running.get("/metrics").text
    assert 'ligero_requests_total{path="/predict",status="200"} 1.0' in figures
    assert 'ligero_requests_total{path="/predict",status="422"} 1.0' in figures
    assert "ligero_items_total 2.0" in figures
    assert "ligero_tokens_total 35.0" in figures
    assert "ligero_truncated_total 1.0" in figures
    assert "ligero_waiting_tokens 0.0" in figures
    assert running.process.returncode == 0
    events = [json.loads(line) for line in running.log]
    assert [event["event"] for event in events] == ["listening", "request", "request", "note", "stopped"]
    assert events[3]["message"] == "Invalid HTTP request received."
    assert SECRET not in "".join(running.log)


def at_once(count: int, call: Any) -> list[Any]:
    """Results of `count` calls in as many threads that start together."""
    barrier, results = threading.Barrier(count), [None] * count

    def run(number: int) -> None:
        barrier.wait()
        results[number] = call(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def test_a_full_queue_is_refused_with_a_time_to_come_back(folder: Path) -> None:
    with serving(folder, queue_tokens=200) as running:
        many = {"items": ["abcdefghij" * 2] * 8}
        answers = at_once(12, lambda _: running.post(many))
        codes = Counter(answer.status_code for answer in answers)
        assert codes.keys() == {200, 429}
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers if answer.status_code == 429)
        assert running.post(many).status_code == 200  # alone, though larger than what may wait: 8 x 22 tokens


def test_requests_that_run_when_it_is_stopped_are_answered(folder: Path) -> None:
    with serving(folder) as running:
        done: list[int] = []
        lost: list[str] = []

        def client(_: int) -> None:
            with httpx.Client(trust_env=False, timeout=60) as http:
                while True:
                    try:
                        answer = http.post(f"{running.url}/predict", json={"items": ["abcdef"] * 32})
                    except httpx.ConnectError:
                        return  # it listens no more
                    except httpx.HTTPError as error:
                        lost.append(repr(error))
                        return
                    done.append(answer.status_code)

        threads = [threading.Thread(target=client, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        while len(done) < 20:
            time.sleep(0.01)
        running.process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join(60)
        assert running.process.wait(30) == 0
    answered = sum('"status": 200' in line for line in running.log)
    assert set(done) == {200}
    assert answered == len(done), (answered, len(done), lost)


def test_memory_does_not_grow_and_no_answer_is_wrong(folder: Path) -> None:
    """Mixed lengths and malformed requests from several clients; the second half must not need more memory than the first."""
    predictor = Predictor(folder, precision="int8", threads=1)
    texts = ["abcdefghijklmno"[: 1 + n % 15] + " " + "ab" * (n % 7) for n in range(40)]
    expected = list(predictor.predict(texts))
    wrong: list[Any] = []

    def client(number: int) -> None:
        with httpx.Client(trust_env=False, timeout=60) as http:
            for turn in range(100):
                place = (7 * number + turn) % len(texts)
                answer = http.post(f"{running.url}/predict", json=texts[place])
                if answer.status_code != 200 or differing(answer.json(), expected[place]):
                    wrong.append(answer.text)
                body, status, _ = MALFORMED[turn % 10]
                refused = http.post(f"{running.url}/predict", content=body)
                if refused.status_code != status:
                    wrong.append((body[:30], refused.status_code))

    with serving(folder, "int8") as running:
        at_once(4, client)
        before = running.resident()
        at_once(4, client)
        assert running.resident() <= 1.05 * before
    assert wrong == []
