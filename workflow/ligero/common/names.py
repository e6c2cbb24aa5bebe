"""How names that people write are compared."""

from __future__ import annotations

import re


def plain(name: str) -> str:
    """A name without case, spaces and punctuation, so that 'TAR / XQuAD' and 'tar-xquad' are one; letters of any script stay."""
    return re.sub(r"[\W_]", "", name.casefold())
