"""Digests: of values (settings), of files and of folders. They decide what is stale, so they are stable across machines."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import xxhash

from ligero.common.files import files_below

CHUNK = 1 << 20


def canonical_json(value: Any) -> str:
    """JSON of which equal values have equal texts."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def digest_value(value: Any) -> str:
    """16 hexadecimal digits of the SHA-256 of `value` as canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


def digest_file(path: Path | str) -> str:
    """The XXH3 of a file's content, as 32 hexadecimal digits: finds damage, at the speed of memory."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, xxhash.xxh3_128).hexdigest()


def sha256_file(path: Path | str) -> str:
    """The SHA-256 of a file, as 64 hexadecimal digits."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def digest_files(root: Path | str, names: list[str] | None = None) -> str:
    """16 hexadecimal digits over the names and contents of files below `root` (all of them, or `names`)."""
    root = Path(root)
    chosen = (
        names
        if names is not None
        else sorted(
            str(path.relative_to(root))
            for path in root.rglob("*")
            if path.is_file() and not path.name.startswith(".")
        )
    )
    return digest_value([[name, digest_file(root / name)] for name in chosen])


def fingerprint_files(root: Path | str, suffix: str) -> str:
    """16 hexadecimal digits over names, sizes and times of the files below `root` with a suffix (in any case), or 'absent'.

    It opens no file: cheap for tens of thousands, and a file that was only touched counts as changed.
    """
    root = Path(root)
    if not root.is_dir():
        return "absent"
    found = ((path, path.stat()) for path in files_below(root) if path.suffix.lower() == suffix)
    return digest_value(
        sorted([path.relative_to(root).as_posix(), state.st_size, state.st_mtime_ns] for path, state in found)
    )
