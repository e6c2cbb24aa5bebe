"""What can go wrong when a file is brought in."""

from __future__ import annotations

from ligero.common.errors import LigeroError


class FetchError(LigeroError):
    """A source cannot be had from any of its locations, or what came is not what was promised."""


class NotThereError(FetchError):
    """A location does not have the file (missing in a mirror, 404); the next location is tried."""


class ChecksumError(FetchError):
    """A file is complete but its size or SHA-256 is not the expected one; nothing of it is kept."""
