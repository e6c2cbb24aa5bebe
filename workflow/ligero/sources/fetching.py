"""Bring one source to its place: generated mirror, mirror, archive member, primary URL, alternatives, in this order."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import IO
from urllib.parse import quote

from ligero.common.errors import ConfigurationError
from ligero.common.file_locks import file_lock
from ligero.common.files import atomic_path
from ligero.common.hashing import CHUNK, sha256_file
from ligero.common.progress import progress
from ligero.settings.sources import Source
from ligero.sources.archives import MemberStream, open_member
from ligero.sources.checksums import Expectation, Origin, SourcesLock, check_generated
from ligero.sources.download import Patience, check_disk_space, download
from ligero.sources.errors import ChecksumError, FetchError, NotThereError

WORTH_A_BAR = 32 << 20
"""Copies below this size (bytes) are done before a progress bar could be read."""


@dataclass(frozen=True)
class Fetcher:
    """Fetches sources of one study.

    Args:
        sources: all sources by id (archives are sources too).
        lock: file that records checksums which the registry does not know.
        mirror: folder (relative to the working directory) or URL that is tried first.
        generated_mirror: folder into which the embedded study's generator wrote.
    """

    sources: Mapping[str, Source]
    lock: SourcesLock
    mirror: str | None = None
    generated_mirror: Path | None = None
    patience: Patience = field(default_factory=Patience)

    def fetch(self, source_id: str, destination: Path) -> str:
        """Bring a source to `destination`, verified and complete, and return its SHA-256.

        A file that is already there and has the expected checksum is left as it is, unless the configuration names another address
        or member than it was taken from.

        Raises:
            ConfigurationError: no such source, or a generated one without the generator's folder.
            ChecksumError: a mirror has the file with another checksum, or so has every location.
            DamagedError: a generated file is not what the generator wrote.
            FetchError: no location has the file; the message lists each with its reason.
        """
        source = self.sources.get(source_id)
        if source is None:
            raise ConfigurationError(f"sources: no source '{source_id}' (known: {', '.join(self.sources)})")
        guard = destination.with_name(f".{destination.name}.guard")
        with file_lock(guard):
            if source.generated:
                return self._copy_generated(source_id, source, destination)
            origin = self._origin(source)
            expected = self.lock.expectation(source_id, source, origin)
            if sha256 := self._present(destination, expected):
                if not source.sha256 and self.lock.origin(source_id) != origin:
                    self.lock.record(source_id, source, sha256, destination.stat().st_size, origin)
                return sha256
            if expected.sha256 is None:
                expected = replace(expected, accepted=partial(self._record, source_id, source, origin))
            return self._from_somewhere(source_id, source, destination, expected)[0]

    def _record(self, source_id: str, source: Source, origin: Origin, sha256: str, size: int) -> None:
        self.lock.record(source_id, source, sha256, size, origin)
        print(
            f"{source_id}: checksum not known before; recorded {sha256} in {self.lock.path}", file=sys.stderr
        )

    def _present(self, destination: Path, expected: Expectation) -> str | None:
        """The checksum of a file that is already in place and right; a wrong or unverifiable one is fetched anew."""
        if expected.sha256 is None or not destination.is_file():
            return None
        found = sha256_file(destination)
        return found if found == expected.sha256 else None

    def _copy_generated(self, source_id: str, source: Source, destination: Path) -> str:
        if self.generated_mirror is None:
            raise ConfigurationError(f"sources.{source_id}: is generated; give --generated-mirror DIR")
        found = self.generated_mirror / source.path
        if not found.is_file():
            raise FetchError(
                f"{source_id}: the generator wrote no {found}. Run the rule that generates the study."
            )
        check_generated(source, self.generated_mirror, found)
        return _copy(found, destination, Expectation(None, None))[0]

    def _from_somewhere(
        self, source_id: str, source: Source, destination: Path, expected: Expectation
    ) -> tuple[str, int]:
        """Try each location; a wrong checksum in the mirror ends it, elsewhere the next location is tried."""
        reasons: list[str] = []
        failure: type[FetchError] = FetchError
        for location in self._locations(source):
            try:
                return self._from(location, source, destination, expected)
            except NotThereError as error:
                reasons.append(str(error))
            except FetchError as error:
                if location == self._mirror_location(source) and isinstance(error, ChecksumError):
                    raise
                failure = type(error) if isinstance(error, ChecksumError) else failure
                reasons.append(str(error))
        tried = "".join(f"\n  - {reason}" for reason in reasons) or "\n  - it has no mirror, archive or URL"
        raise failure(
            f"{source_id}: could not be fetched:{tried}\n"
            f"Put the file as {source.path} into a folder and set 'mirror' to that folder, or correct its URL in the "
            "registry of sources."
        )

    def _locations(self, source: Source) -> Iterator[str]:
        if mirror := self._mirror_location(source):
            yield mirror
        if source.archive:
            yield "archive"
        if source.url:
            yield source.url
        yield from source.alternatives

    def _origin(self, source: Source) -> Origin:
        """Where the configuration says to take it from: the mirror's folder if the file is there, else address, or archive and member."""
        mirrored = self._mirror_location(source)
        if mirrored and not _is_url(mirrored) and Path(mirrored).is_file():
            return {"mirror": mirrored}
        if source.archive:
            archive = self._origin(self.sources[source.archive.source])
            return {"published": f"{archive.get('mirror', archive.get('published'))}:{source.archive.member}"}
        return {"published": source.url or ""}

    def _mirror_location(self, source: Source) -> str | None:
        if not self.mirror:
            return None
        if _is_url(self.mirror):
            return f"{self.mirror.rstrip('/')}/{quote(source.path)}"
        return str(Path(self.mirror) / source.path)

    def _from(
        self, location: str, source: Source, destination: Path, expected: Expectation
    ) -> tuple[str, int]:
        if location == "archive":
            return self._from_archive(source, destination, expected)
        if _is_url(location):
            return download(location, destination, expected, self.patience)
        if "://" in location:
            raise FetchError(f"{location}: only http, https and folders can be read.")
        path = Path(location)
        if path.is_symlink() and not path.exists():
            raise NotThereError(f"{location}: is a link to {path.readlink()}, which is not there.")
        if not path.is_file():
            no_mirror = location == self._mirror_location(source) and not Path(self.mirror or "").is_dir()
            raise NotThereError(
                f"{location}: not there"
                + (f"; 'mirror' names no folder: {self.mirror}." if no_mirror else ".")
            )
        return _copy(Path(location), destination, expected)

    def _from_archive(self, source: Source, destination: Path, expected: Expectation) -> tuple[str, int]:
        assert source.archive
        archive_source = self.sources[source.archive.source]
        archive = _root(destination, source) / archive_source.path
        self.fetch(source.archive.source, archive)
        with open_member(archive, source.archive.member) as (size, stream):
            return _write(stream, size, destination, expected, f"{archive}:{source.archive.member}")


def _root(destination: Path, source: Source) -> Path:
    """The folder of fetched files, under which archives lie at their own paths too."""
    text = destination.as_posix()
    return Path(text[: -len(source.path)] or ".") if text.endswith(source.path) else destination.parent


def _is_url(location: str) -> bool:
    return location.startswith(("http://", "https://"))


def _copy(origin: Path, destination: Path, expected: Expectation) -> tuple[str, int]:
    with origin.open("rb") as stream:
        return _write(stream, origin.stat().st_size, destination, expected, str(origin))


def _write(
    stream: IO[bytes] | MemberStream, size: int, destination: Path, expected: Expectation, what: str
) -> tuple[str, int]:
    """Stream to `destination`, verified before it gets its name."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    check_disk_space(destination.parent, size, what)
    sha256, written = hashlib.sha256(), 0
    with atomic_path(destination) as temporary:
        bar = progress(total=size, label=destination.name, unit="B") if size >= WORTH_A_BAR else None
        with temporary.open("wb") as handle, bar or nullcontext():
            while chunk := stream.read(CHUNK):
                handle.write(chunk)
                sha256.update(chunk)
                written += len(chunk)
                if bar is not None:
                    bar.update(len(chunk))
        expected.check(what, sha256.hexdigest(), written)
    return sha256.hexdigest(), written
