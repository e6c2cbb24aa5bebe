"""Where files come from: one entry per file of the corpus or of a task's split."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, field_validator

from ligero.settings.base import Identifier, Settings, Sha256, short_parts

GENERATED = "digests.json"
"""Record in a folder that the project generated: the digest of each of its files."""


class ArchiveMember(Settings):
    """A file inside an archive that is a source of its own."""

    source: Identifier
    """Id of the archive's source."""
    member: str = Field(min_length=1)
    """Path of the file inside the archive."""


def _published(address: str) -> str:
    if not re.match(r"https?://[^/]", address):
        raise ValueError(
            "expected an http or https address; a file on this machine belongs into the folder under 'mirror', by the source's path"
        )
    return address


Address = Annotated[str, AfterValidator(_published)]


class Source(Settings):
    """One file: its path in a mirror, where it is published, what it must be."""

    path: str
    """Path below a mirror and below the folder of fetched files."""
    url: Address | None = None
    """Primary location: an http or https address."""
    alternatives: tuple[Address, ...] = ()
    """Further locations, tried in order after the primary one."""
    archive: ArchiveMember | None = None
    """Extract it from another source if no mirror has the file itself."""
    generated: bool = False
    """Written by the project's own generator instead of fetched."""
    sha256: Sha256 | None = None
    """Expected checksum; if unknown, the first download records it in the lock file."""
    bytes: int | None = Field(None, ge=0)
    """Expected size in bytes."""
    licence: str = ""
    """Licence of the data."""
    citation: str = ""
    """Reference to cite."""

    @field_validator("path")
    @classmethod
    def _stays_below_its_folder(cls, path: str) -> str:
        if not re.fullmatch(r"[\w.@+/-]+", path):
            raise ValueError(
                "must consist of letters, digits and ._-+@/ (it is used in shell commands); rename the file"
            )
        if not {"", ".", ".."}.isdisjoint(short_parts(path).split("/")):
            raise ValueError("must be relative, without '.', '..' and '//', and end in a file's name")
        return path
