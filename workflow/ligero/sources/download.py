"""A file over HTTP: resumed after a cut, retried with growing pauses, disk space checked, progress shown."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import shutil
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ligero.common.hashing import CHUNK
from ligero.common.progress import progress
from ligero.sources.checksums import Expectation
from ligero.sources.errors import ChecksumError, FetchError, NotThereError

if TYPE_CHECKING:
    import httpx

RETRIED_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
SPARE_BYTES = 64 << 20
"""Disk space that a download leaves free."""


@dataclass(frozen=True)
class Patience:
    """How long a download keeps trying. Attempts are counted anew whenever it got further than before."""

    attempts: int = 6
    first_wait: float = 1.0
    """Seconds before the second attempt; doubled every time."""
    longest_wait: float = 60.0
    connect_timeout: float = 30.0
    read_timeout: float = 120.0
    """Seconds of silence after which a connection counts as cut."""
    sleep: Callable[[float], None] = time.sleep


@dataclass
class _Part:
    """The unfinished file, with what identifies the version it belongs to; both survive a kill."""

    path: Path
    sha256: hashlib._Hash
    size: int = 0
    validator: str | None = None
    total: int | None = None
    """The whole file's length as the server announced it."""
    resumed: bool = False
    """Whether it is put together from several answers, or from an earlier run's."""

    @property
    def note(self) -> Path:
        return self.path.with_name(self.path.name + ".json")

    @classmethod
    def open(cls, destination: Path, url: str) -> _Part:
        part = cls(destination.with_name(f".{destination.name}.part"), hashlib.sha256())
        try:
            known = json.loads(part.note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            known = {}
        if known.get("url") == url and part.path.exists():
            part.validator, part.total = known.get("validator"), known.get("total")
            with part.path.open("rb") as handle:
                while chunk := handle.read(CHUNK):
                    part.sha256.update(chunk)
                    part.size += len(chunk)
            part.resumed = part.size > 0
        return part

    def restart(self, url: str, validator: str | None = None, total: int | None = None) -> None:
        self._forget()
        self.validator, self.total = validator, total
        self.path.write_bytes(b"")
        note = {"url": url, "validator": validator, "total": total}
        self.note.write_text(json.dumps(note), encoding="utf-8")

    def discard(self) -> None:
        self._forget()
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def _forget(self) -> None:
        self.sha256, self.size, self.resumed = hashlib.sha256(), 0, False
        self.validator = self.total = None


def download(
    url: str, destination: Path, expected: Expectation, patience: Patience | None = None
) -> tuple[str, int]:
    """Bring `url` to `destination`; returns (sha256, size in bytes).

    An interrupted download leaves `.NAME.part` beside the destination and resumes from it, unless the server's
    file changed meanwhile, the server cannot resume, or nothing (no ETag, no date, no expected sum) would tell that the
    file changed. `destination` appears complete and verified, or not at all.

    Raises:
        NotThereError: the server does not have the file (404, 410).
        ChecksumError: the complete file is not the expected one.
        FetchError: no connection, refused, or the disk is too small.
    """
    patience = patience or Patience()
    destination.parent.mkdir(parents=True, exist_ok=True)
    part = _Part.open(destination, url)
    _complete(url, part, expected, patience)
    try:
        expected.check(url, part.sha256.hexdigest(), part.size)
    except ChecksumError:
        resumed = part.resumed
        part.discard()
        if not resumed:
            raise
        # Its halves may be of two versions: once more, from the start.
        _complete(url, part, expected, patience)
        try:
            expected.check(url, part.sha256.hexdigest(), part.size)
        except ChecksumError:
            part.discard()
            raise
    part.path.replace(destination)
    part.note.unlink(missing_ok=True)
    return part.sha256.hexdigest(), part.size


def _complete(url: str, part: _Part, expected: Expectation, patience: Patience) -> None:
    """Attempt after attempt until the part is whole."""
    import httpx  # 0.1 s, and most runs fetch nothing

    timeout = httpx.Timeout(patience.read_timeout, connect=patience.connect_timeout)
    failures, farthest = 0, part.size
    # Killed between the last byte and the file's final name?
    if part.size and part.size in (expected.size, part.total):
        return
    with httpx.Client(
        follow_redirects=True,
        timeout=timeout,
        headers={"User-Agent": "ligero"},
        event_hooks={"request": [lambda request: _refuse_inner_address(url, request.url.host)]},
    ) as client:
        while True:
            wait = None
            try:
                if _attempt(client, url, part, expected):
                    return
                problem = "the server closed the connection early"
            except httpx.HTTPStatusError as error:
                status = error.response.status_code
                if status not in RETRIED_STATUSES:
                    raise FetchError(
                        f"{url}: the server answered {status} {error.response.reason_phrase}."
                    ) from error
                problem, wait = f"the server answered {status}", _retry_after(error.response)
            except httpx.UnsupportedProtocol as error:
                raise FetchError(
                    f"{url}: the server redirects to an address that is neither http nor https."
                ) from error
            except httpx.TransportError as error:
                problem = f"{type(error).__name__}: {error}".rstrip(": ")
            except (httpx.InvalidURL, httpx.TooManyRedirects) as error:
                raise FetchError(f"{url}: {error}.") from error
            failures = 1 if part.size > farthest else failures + 1
            farthest = max(farthest, part.size)
            if failures >= patience.attempts:
                remedy = "" if _can_resume(part, expected) else _CANNOT_RESUME
                raise FetchError(
                    f"{url}: given up after {failures} attempts without progress; {problem}.{remedy}"
                )
            pause = min(wait or patience.first_wait * 2 ** (failures - 1), patience.longest_wait)
            print(f"{url}: {problem}; {part.size:,} bytes so far, again in {pause:.0f} s", file=sys.stderr)
            patience.sleep(pause)


def _refuse_inner_address(url: str, host: str) -> None:
    """Refuse a redirect from a public address into this machine or its network, which would read what the server itself cannot.

    Raises:
        FetchError: `host` is at a loopback, private or other reserved address, and the host of `url` is not.
    """
    first = urlsplit(url).hostname or ""
    if host != first and _is_inner(host) and not _is_inner(first):
        raise FetchError(
            f"{url}: the server redirects to {host}, an address of this machine or of its own network, which is refused. Correct the "
            "URL; where that is the right place, give its address as 'url'."
        )


def _is_inner(host: str) -> bool:
    """Whether any address of a host is loopback, private or reserved; one without an address is not."""
    try:
        found = socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError):
        return False
    return any(not ipaddress.ip_address(str(entry[4][0]).partition("%")[0]).is_global for entry in found)


def _attempt(client: httpx.Client, url: str, part: _Part, expected: Expectation) -> bool:
    """One request; True when the part is whole, False when the stream ended before its announced length."""
    headers = {"Accept-Encoding": "identity"}
    if part.size and _can_resume(part, expected):
        headers["Range"] = f"bytes={part.size}-"
        if part.validator:
            headers["If-Range"] = part.validator
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code in (404, 410):
            raise NotThereError(f"{url}: not there ({response.status_code}).")
        if response.status_code == 416:  # nothing left to send, or the file on the server shrank
            if _total_length(response) == part.size and _same_version(response, part):
                return True
            part.restart(url)
            return False
        response.raise_for_status()
        if response.status_code == 206:
            if _range_start(response) != part.size or not _same_version(response, part):
                part.restart(url)  # not what was asked for: begin again, without a range
                return False
            part.resumed = True
            total = _total_length(response) or part.total
        else:
            length = response.headers.get("Content-Length")
            total = int(length) if length and length.isdigit() else None
            part.restart(url, _validator(response), total)
        if total is not None and expected.size is not None and total != expected.size:
            part.discard()
            raise ChecksumError(
                f"{url}: expected {expected.size:,} bytes ({expected.origin}), the server announces {total:,}. "
                "Nothing was kept."
            )
        check_disk_space(part.path.parent, (total or expected.size or part.size) - part.size, url)
        _receive(response, part, total)
    return total is None or part.size == total


def _can_resume(part: _Part, expected: Expectation) -> bool:
    """Whether it would be noticed that what there is and what comes are of two versions."""
    return not part.size or bool(part.validator or expected.sha256)


_CANNOT_RESUME = (
    " The server names no version of the file (ETag, Last-Modified), so each attempt began anew; with its 'sha256' among "
    "the sources it is resumed."
)


def _receive(response: httpx.Response, part: _Part, total: int | None) -> None:
    with part.path.open("ab") as handle, progress(total=total, label=part.path.name[1:-5], unit="B") as bar:
        bar.update(part.size)
        for chunk in response.iter_raw():  # as it arrives, so that a kill loses next to nothing
            handle.write(chunk)
            handle.flush()
            part.sha256.update(chunk)
            part.size += len(chunk)
            bar.update(len(chunk))


def _total_length(response: httpx.Response) -> int | None:
    """The whole file's length in `Content-Range: bytes 10-99/100`."""
    total = response.headers.get("Content-Range", "").rpartition("/")[2]
    return int(total) if total.isdigit() else None


def _range_start(response: httpx.Response) -> int | None:
    start = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(start) if start.isdigit() else None


def _same_version(response: httpx.Response, part: _Part) -> bool:
    """Whether an answer is about the file that the part began with, by all that the server says; some ignore If-Range."""
    total = _total_length(response)
    if total is not None and part.total is not None and total != part.total:
        return False
    named = {response.headers[name] for name in ("ETag", "Last-Modified") if name in response.headers}
    return part.validator is None or not named or part.validator in named


def _validator(response: httpx.Response) -> str | None:
    """What the server calls this version of the file; weak entity tags cannot be used for ranges (RFC 9110, 13.1.5)."""
    tag = response.headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified")


def _retry_after(response: httpx.Response) -> float | None:
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdigit() else None


def check_disk_space(folder: Path, needed: int, what: str) -> None:
    """Refuse to start what will not fit.

    Raises:
        FetchError: naming the folder, what is needed and what is free.
    """
    free = shutil.disk_usage(folder).free
    if needed + SPARE_BYTES > free:
        raise FetchError(
            f"{what}: {needed:,} bytes needed in {folder}, {free:,} free. Free disk space, or put results_dir elsewhere."
        )
