"""What cleaning means, line by line: the plain reference that the fast path must equal.

Steps in order (thesis, training of ALBETO): remove web addresses, drop listings, collapse white space, lower-case.
White space is what `str.isspace` says, which is also what `\\s` of `re` and `str.split` mean.
"""

from __future__ import annotations

import re

from ligero.settings.corpus import Cleaning

ADDRESS = re.compile(
    r"""
      [a-z][a-z0-9+.-]{1,15}://\S+                                    # with a scheme
    | \bwww\.\S+                                                      # without one
    | \b(?:[\w-]{1,63}\.){1,8}[a-z]{2,6}/\S*                          # host and path
    | \b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}               # e-mail
    """,
    re.VERBOSE | re.IGNORECASE,
)

_HOST_END = re.compile(r"\.[a-z]{2,6}/", re.IGNORECASE)
_SPACES = re.compile(r"(\s+)")

BULLETS = "*+|•▪▫◦‣●○■□►▶▸➢➤✓✔★☆→⇒·"
"""Signs that start an item of a listing or a row of a table."""

ITEM = re.compile(
    rf"""
    \s*+
    (?: [{re.escape(BULLETS)}](?:\s|$)                                # * item
      | [-–](?:$|\s(?!.*[.!?…»”"'’)]\s*+$))                           # - item; but a turn of dialogue ends a sentence
      | \(?[0-9]{{1,3}}(?:\.[0-9]{{1,3}}){{0,5}}(?:[.)]-?|\.?[ºª]|-)\s++\S   # 1. item, 1.2) item, (3) item
      | \(?[a-z]\)(?:\s|$)                                            # a) item
      | \(?[ivxl]{{1,6}}\)(?:\s|$)                                    # iv) item
    )
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
"""Start of an item. Bounded repetitions and possessive quantifiers keep the time linear in the line's length."""

MENU_SIGNS = "|>»"
_STANDING_ALONE = {sign: re.compile(rf"(?<=\s){re.escape(sign)}(?=\s|$)") for sign in MENU_SIGNS}


def is_listing(line: str) -> bool:
    """Whether a line is an item of a listing, or a menu or row of a table (Inicio | Ayuda | Contacto)."""
    if ITEM.match(line):
        return True
    stripped = line.strip()
    return any(
        line.count(sign) >= 2 and len(alone.findall(stripped)) >= 2 for sign, alone in _STANDING_ALONE.items()
    )


def without_addresses(line: str) -> str:
    """A line without its web and e-mail addresses. They hold no white space, so only words that may be one are tried."""
    if not _may_hold_address(line):
        return line
    parts = _SPACES.split(line)
    for index, word in enumerate(parts):
        if _may_hold_address(word):
            parts[index] = ADDRESS.sub("", word)
    return "".join(parts)


def _may_hold_address(text: str) -> bool:
    return (
        "@" in text
        or ("/" in text and ("://" in text or _HOST_END.search(text) is not None))
        or "www." in text.lower()
    )


Dropped = str
"""Why a line was dropped: 'blank', 'url' (nothing else on it), 'listing' or 'short'."""


def clean_line(line: str, cleaning: Cleaning) -> tuple[str | None, Dropped]:
    """One line cleaned, or None with the reason why it is dropped.

    Args:
        line: a line without its line feed.
        cleaning: which steps to apply.
    """
    if not line or line.isspace():
        return None, "blank"
    if cleaning.remove_urls:
        line = without_addresses(line)
        if not line or line.isspace():
            return None, "url"
    if cleaning.remove_listings and is_listing(line):
        return None, "listing"
    if cleaning.collapse_whitespace:
        line = " ".join(line.split())
    if cleaning.lower_case:
        line = line.lower()
    if len(line) < cleaning.minimum_characters:
        return None, "short"
    return line, ""


def clean_documents(text: str, cleaning: Cleaning) -> str:
    """Whole text cleaned the plain way: lines with line feeds, one empty line between documents.

    A document whose every line is dropped vanishes.
    """
    documents: list[list[str]] = [[]]
    for line in text.split("\n"):
        cleaned, reason = clean_line(line, cleaning)
        if cleaned is not None:
            documents[-1].append(cleaned)
        elif reason == "blank" and documents[-1]:
            documents.append([])
    return "\n".join("".join(line + "\n" for line in document) for document in documents if document)
