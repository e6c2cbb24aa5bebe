"""What cleaning means, line by line: the plain reference that the fast path must equal.

Steps in order (thesis, training of ALBETO): remove web addresses, drop listings, collapse white space, lower-case.
White space is what `str.isspace` says, which is also what `\\s` of `re` and `str.split` mean.
"""

from __future__ import annotations

import re

from ligero.settings.corpus import Cleaning

URL = re.compile(
    r"""
      [a-z][a-z0-9+.-]{1,15}://\S+                                    # with a scheme
    | \bwww\.\S+                                                      # without one
    | \b(?:[\w-]{1,63}\.){1,8}[a-z]{2,6}/\S*                          # host and path
    | \b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}               # e-mail
    """,
    re.VERBOSE | re.IGNORECASE,
)

BULLETS = "*+|•▪▫◦‣●○■□►▶▸➢➤✓✔★☆→⇒·"
"""Signs that start an item of a listing or a row of a table."""

LISTING = re.compile(
    rf"""
    \s*+
    (?: [{re.escape(BULLETS)}](?:\s|$)                                # * item
      | [-–](?:$|\s(?!.*[.!?…»”"'’)]\s*+$))                           # - item; but a turn of dialogue ends a sentence
      | \(?[0-9]{{1,3}}(?:\.[0-9]{{1,3}}){{0,5}}(?:[.)]-?|\.?[ºª]|-)\s++\S   # 1. item, 1.2) item, (3) item
      | \(?[a-z]\)(?:\s|$)                                            # a) item
      | \(?[ivxl]{{1,6}}\)(?:\s|$)                                    # iv) item
      | (?:[^|]*\s\|(?=\s|$)){{2}}                                    # menus: Inicio | Ayuda | Contacto
      | (?:[^>]*\s>(?=\s|$)){{2}}                                     # Inicio > Ayuda > Contacto
      | (?:[^»]*\s»(?=\s|$)){{2}}
    )
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
"""Bounded repetitions and possessive quantifiers keep the time linear in the line's length."""

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
        line = URL.sub("", line)
        if not line or line.isspace():
            return None, "url"
    if cleaning.remove_listings and LISTING.match(line):
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
