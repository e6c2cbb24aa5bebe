"""Expected checksums: from the registry, or from the lock file that the first download of a source writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NotRequired, TypedDict, cast

from ligero.common.errors import DataError
from ligero.common.file_locks import file_lock
from ligero.common.files import read_json, write_json
from ligero.common.hashing import sha256_file
from ligero.common.records import DamagedError, check_file, read_record
from ligero.settings.sources import GENERATED, Source
from ligero.sources.errors import ChecksumError


@dataclass(frozen=True)
class Expectation:
    """What a file must be. `origin` says who demands it, for the error message."""

    sha256: str | None
    size: int | None
    origin: str = ""
    accepted: Callable[[str, int], None] | None = None
    """Called with the checksum and size of a file that passed, before the file gets its name: a kill in between loses nothing."""

    def check(self, what: str, sha256: str, size: int) -> None:
        """Refuse a file that is not the expected one.

        Raises:
            ChecksumError: naming both sums (or both sizes) and who demands the expected one; also what `accepted` raises.
        """
        if self.size is not None and size != self.size:
            raise ChecksumError(
                f"{what}: expected {self.size:,} bytes with sha256 {self.sha256 or 'unknown'} ({self.origin}), "
                f"found {size:,} with {sha256}. "
                "The file is truncated or another version; nothing was kept."
            )
        if self.sha256 is not None and sha256 != self.sha256:
            raise ChecksumError(
                f"{what}: expected sha256 {self.sha256} ({self.origin}), found {sha256}. Nothing was kept; "
                "repair the file at its location, or, if the new version is wanted, change the expected sum."
            )
        if self.accepted is not None:
            self.accepted(sha256, size)


class LockedFile(TypedDict):
    """What was recorded of a file."""

    sha256: str
    bytes: int


class Origin(TypedDict):
    """Where a file was taken from, one of the two; entries of earlier versions have neither."""

    mirror: NotRequired[str]
    """The mirror's file."""
    published: NotRequired[str]
    """Its address, or its archive and the member there, as the configuration named them."""


class SourceEntry(LockedFile, Origin):
    """What the lock file has under the id of a source."""

    path: str


class HubEntry(TypedDict):
    """What the lock file has of a model of the hub, under NAME@REVISION."""

    hub: str
    """The name that served it."""
    revision: str
    """Its commit."""
    files: dict[str, LockedFile]


class SourcesLock:
    """The lock file: id -> path, sha256 and bytes of every source whose checksum the registry does not know.

    It also holds models of the hub: NAME@REVISION -> commit, and sha256 and bytes of each file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def _entries(self) -> dict[str, SourceEntry | HubEntry]:
        if not self.path.exists():
            return {}
        entries = read_json(self.path)
        if not isinstance(entries, dict):
            raise DataError(self.path, None, "expected a JSON object of source ids.", "Delete the file.")
        return entries

    def _source(self, source_id: str) -> SourceEntry | None:
        return cast("SourceEntry | None", self._entries().get(source_id))

    def expectation(self, source_id: str, source: Source, configured: Origin | None = None) -> Expectation:
        """The registry's checksum, else the one recorded at the first download, else none.

        What was recorded of another address or member than the one `configured` now is not expected any more.
        """
        if source.sha256:
            return Expectation(source.sha256, source.bytes, "registry of sources")
        entry = self._source(source_id)
        if entry is None or _published_elsewhere(entry, configured or Origin()):
            return Expectation(None, source.bytes, "registry of sources")
        origin = (
            f"recorded at the first download in {self.path}; remove '{source_id}' there to accept another"
        )
        return Expectation(entry["sha256"], source.bytes or entry["bytes"], origin)

    def origin(self, source_id: str) -> Origin:
        """What was recorded of where it was taken from; empty where nothing was."""
        entry = self._source(source_id)
        found = {key: entry[key] for key in ("mirror", "published") if key in entry} if entry else {}
        return cast(Origin, found)

    def refuse_changed(self, source_id: str, source: Source, mirrored: Path, fetched: Path) -> None:
        """Refuse a mirror's file that was written after it was fetched, or lies elsewhere now, and is not the expected one.

        Raises:
            ChecksumError: the message names the entry to remove.
        """
        if not fetched.is_file():
            return
        known = self.origin(source_id)
        moved = known and known.get("mirror") != str(mirrored)
        if moved or mirrored.stat().st_mtime > fetched.stat().st_mtime:
            expected = self.expectation(source_id, source)
            expected.check(str(mirrored), sha256_file(mirrored), mirrored.stat().st_size)

    def record(self, source_id: str, source: Source, sha256: str, size: int, origin: Origin) -> None:
        """Keep a first checksum; a sum that another job recorded meanwhile must agree, unless it is of another address.

        Raises:
            ChecksumError: two jobs fetched different contents.
        """
        with file_lock(self.path.with_name(f".{self.path.name}.guard")):
            entry = self._source(source_id)
            if entry and not _published_elsewhere(entry, origin):
                Expectation(entry["sha256"], None, f"recorded in {self.path}").check(source_id, sha256, size)
            entries = self._entries()
            entries[source_id] = {"path": source.path, "sha256": sha256, "bytes": size, **origin}
            write_json(self.path, dict(sorted(entries.items())))

    def forget(self, source_ids: Iterable[str]) -> None:
        """Drop what was recorded of files that turned out to be wrong, so that corrected ones are taken."""
        with file_lock(self.path.with_name(f".{self.path.name}.guard")):
            entries = self._entries()
            kept = {key: entry for key, entry in entries.items() if key not in set(source_ids)}
            if kept != entries:
                write_json(self.path, kept)

    def hub_entry(self, key: str) -> HubEntry | None:
        """What was recorded of a model of the hub, if anything."""
        return cast("HubEntry | None", self._entries().get(key))

    def record_hub(self, key: str, entry: HubEntry) -> None:
        """Keep what a first download found; another job's entry of meanwhile must be the same.

        Raises:
            ChecksumError: two jobs fetched different contents.
        """
        with file_lock(self.path.with_name(f".{self.path.name}.guard")):
            entries = self._entries()
            if entries.setdefault(key, entry) != entry:
                raise ChecksumError(
                    f"{key}: another job recorded other contents in {self.path}; fetch it again, and remove '{key}' there "
                    "if the new one is wanted."
                )
            write_json(self.path, dict(sorted(entries.items())))


def _published_elsewhere(entry: Origin, origin: Origin) -> bool:
    """Whether it was recorded of another address or member; a mirror's file is compared by its content instead."""
    return "published" in entry and "published" in origin and entry["published"] != origin["published"]


def check_generated(source: Source, generated: Path, path: Path) -> None:
    """Refuse a copy of a generated file, or the file itself, that is not what the generator wrote.

    Args:
        generated: the folder that generators write below.

    Raises:
        DamagedError: it, or the record of digests, was changed or is missing.
    """
    folder, _, name = source.path.partition("/")
    remedy = "Make it again: snakemake --forcerun generate_study."
    record = generated / folder / GENERATED
    if name not in (digests := read_record(record, remedy).get("files", {})):
        raise DamagedError(record, None, f"it records no digest of {name}.", remedy)
    check_file(path, digests[name], remedy)


def check_sources(sources: Mapping[str, Source], results: Path) -> None:
    """Refuse fetched files that changed after they were fetched; all that a job reads, before it reads them.

    Raises:
        DamagedError: one is not what was fetched.
    """
    lock = SourcesLock(results / "sources.lock.json")
    for source_id, source in sources.items():
        path = results / "sources" / source.path
        if source.generated:
            check_generated(source, results / "generated", path)
        elif (expected := lock.expectation(source_id, source).sha256) and (
            found := sha256_file(path)
        ) != expected:
            problem = f"it was changed after it was fetched: its SHA-256 is {found}, expected {expected}."
            raise DamagedError(path, None, problem, "Delete it and start snakemake again, which fetches it.")
