"""What is recorded is believed only after it is checked: JSON records that carry a checksum of themselves, and the digests of files.

A record is a JSON object whose key `checksum` is the digest of all its other keys. Where an artefact is more than a record, the
record beside its files lists them under the key `files`, name to digest. Digests are XXH3 (128 bits): they find damage and edits, at
the speed of memory; what comes from outside is checked by SHA-256 (`ligero.sources`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import xxhash

from ligero.common.errors import DataError
from ligero.common.files import read_json, write_json
from ligero.common.hashing import canonical_json, digest_file

R = TypeVar("R", bound=Mapping[str, Any])
CHECKSUM = "checksum"
FILES = "files"
REMEDY = "Delete it and start snakemake again, which makes it anew."


class DamagedError(DataError):
    """An artefact is not what was written: it was damaged, cut short or edited."""


def write_record(path: Path | str, record: Mapping[str, Any]) -> None:
    """Write a JSON object with its checksum, atomically."""
    write_json(path, {**record, CHECKSUM: checksum_of(record)})


def read_record(path: Path | str, remedy: str = REMEDY) -> dict[str, Any]:
    """What `write_record` wrote, without the checksum.

    Args:
        remedy: what the user can do about a damaged one.

    Raises:
        DamagedError: it is not what was written.
        DataError: it is missing.
    """
    try:
        record = read_json(path)
    except DataError as error:
        if Path(path).is_file():
            raise DamagedError(path, error.line, error.problem, remedy) from error
        raise DataError(path, None, error.problem, "" if remedy == REMEDY else remedy) from error
    if not isinstance(record, dict) or CHECKSUM not in record:
        raise DamagedError(
            path, None, f"no key '{CHECKSUM}': it was edited, or an older version wrote it.", remedy
        )
    expected = record.pop(CHECKSUM)
    if (found := checksum_of(record)) != expected:
        problem = f"it was changed after it was written: its checksum is {found}, it records {expected}."
        raise DamagedError(path, None, problem, remedy)
    return record


def record_file(kind: type[R]) -> tuple[Callable[[Path], R], Callable[[Path, R], None]]:
    """The reader and the writer of records of one type (a TypedDict); they raise what `read_record` raises."""

    def read(path: Path) -> R:
        return cast(R, read_record(path))

    return read, write_record


def checksum_of(record: Mapping[str, Any]) -> str:
    """The digest of everything in a record but its checksum; the same before it is written and after it is read."""
    written = json.loads(json.dumps({key: value for key, value in record.items() if key != CHECKSUM}))
    return xxhash.xxh3_128_hexdigest(canonical_json(written).encode())


def digests_of(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Name to digest of some files, for the key `files` of the record beside them."""
    return {name: digest_file(folder / name) for name in names}


def write_listing(record: Path, names: Iterable[str]) -> None:
    """Write a record that holds nothing but the digests of some files beside it."""
    write_record(record, {FILES: digests_of(record.parent, names)})


def check_file(path: Path | str, expected: str, remedy: str = REMEDY) -> None:
    """Refuse a file whose content is not what a record says.

    Raises:
        DamagedError: it is missing or has another digest.
    """
    path = Path(path)
    if not path.is_file():
        raise DamagedError(path, None, "no such file, but its digest is recorded.", remedy)
    if (found := digest_file(path)) != expected:
        problem = f"it was changed after it was written: its digest is {found}, recorded is {expected}."
        raise DamagedError(path, None, problem, remedy)


def check_listed(record: Path, name: str, remedy: str = REMEDY) -> Path:
    """The file `name` beside a record that lists it, after a check of both.

    Raises:
        DamagedError: the record or the file is not what was written, or the record does not list it.
    """
    files = read_record(record, remedy).get(FILES, {})
    if name not in files:
        raise DamagedError(record, None, f"it records no digest of {name}.", remedy)
    check_file(record.parent / name, files[name], remedy)
    return record.parent / name
