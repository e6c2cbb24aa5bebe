"""A real HTTP server on this machine that misbehaves as a test tells it to."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ligero.sources.download import Patience

BODY = bytes(range(256)) * 4096  # 1 MiB
PIECE = 1 << 14
QUICK = Patience(attempts=4, first_wait=0.0, read_timeout=5.0, sleep=lambda seconds: None)


class Server:
    """A server whose answers are scripted: each request takes the next step, the last one for good."""

    def __init__(self, body: bytes = BODY) -> None:
        self.body = body
        self.steps: list[Callable[[BaseHTTPRequestHandler], None]] = [self.whole]
        self.requests: list[dict[str, str]] = []
        self.served = 0
        self.etag: str | None = '"v1"'
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append({"path": self.path, **self.headers})
                step = outer.steps.pop(0) if len(outer.steps) > 1 else outer.steps[0]
                step(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/file.bin"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def send(self, handler: BaseHTTPRequestHandler, body: bytes, pause: float = 0.0) -> None:
        for start in range(0, len(body), PIECE):
            handler.wfile.write(body[start : start + PIECE])
            self.served += len(body[start : start + PIECE])
            time.sleep(pause)

    def whole(self, handler: BaseHTTPRequestHandler, upto: int | None = None, pause: float = 0.0) -> None:
        """Answer ranges properly; `upto` cuts the connection after so many bytes."""
        wanted = handler.headers.get("Range")
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        if handler.headers.get("If-Range", self.etag) != self.etag:
            start = 0
        if start >= len(self.body):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(self.body)}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(self.body) - start))
        if self.etag:
            handler.send_header("ETag", self.etag)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(self.body) - 1}/{len(self.body)}")
        handler.end_headers()
        with contextlib.suppress(OSError):  # the client was killed
            self.send(handler, self.body[start : None if upto is None else start + upto], pause)
        handler.close_connection = True

    def cut(self, handler: BaseHTTPRequestHandler) -> None:
        self.whole(handler, upto=300_000)

    def status(self, code: int, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(code)
            for name, value in headers.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        return answer
