"""How names that people write are compared."""

from __future__ import annotations

import re
import unicodedata


def plain(name: str) -> str:
    """A name without case, spaces and punctuation, so that 'TAR / XQuAD' and 'tar-xquad' are one; letters of any script stay."""
    return re.sub(r"[\W_]", "", name.casefold())


def as_seen(label: str) -> str:
    """A label as a person sees it: in one Unicode form, without white space around it, invisible characters and a decimal .0."""
    plain = "".join(c for c in unicodedata.normalize("NFC", label) if unicodedata.category(c) != "Cf")
    return re.sub(r"^([+-]?\d+)\.0+$", r"\1", " ".join(plain.split()))
