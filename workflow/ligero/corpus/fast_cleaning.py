"""The fast path of cleaning: whole blocks of bytes at once, equal to `cleaning.clean_documents`.

Nearly all lines need only their white space collapsed and plain letters lower-cased, which works on a block as a whole.
Lines in which anything else could happen (a sign of an address or a listing, a letter outside Latin-1) are found by a
few searches and given to the plain reference, so the two cannot disagree on them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ligero.corpus.cleaning import clean_documents, clean_line
from ligero.corpus.lengths import continuation_bytes, line_lengths
from ligero.corpus.statistics import PartStatistics, text_statistics
from ligero.settings.corpus import Cleaning

Places = NDArray[np.int64]

_ASCII_SPACES = bytes.maketrans(b"\t\x0b\x0c\r\x1c\x1d\x1e\x1f", b" " * 8)
_OTHER_SPACES = [
    chr(code).encode()
    for code in (0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000)
]

_MAY_BE_ITEM = re.compile(
    rb"\n(?:[*+|]|-(?=[ \n])|\xc2\xb7|\xe2\x80[\x93\xa2\xa3]|\(?[0-9]{1,3}[.)\xc2-]|\(?[A-Za-z]{1,6}\))"
)
_HOST_END = re.compile(rb"\.[a-z]{2,6}/")


def _lead_table() -> NDArray[np.bool_]:
    """Bytes that start a character whose lower case the fast path does not know.

    Known are ASCII, Latin-1 (C2, C3), combining accents (CC), CJK and Hangul (E3 to E9, EB, EC); of E2 and F0 see below.
    """
    table = np.zeros(256, dtype=bool)
    table[0xC2:] = True
    table[[0xC2, 0xC3, 0xCC, 0xE2, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEB, 0xEC, 0xF0]] = False
    return table


_UNKNOWN_LEADS = _lead_table()


@dataclass(frozen=True)
class _Letters:
    """The characters outside ASCII in a text: where they start, and their first two bytes."""

    places: Places
    first: NDArray[np.uint8]
    second: NDArray[np.uint8]

    @classmethod
    def of(cls, text: bytes) -> _Letters:
        data = np.frombuffer(text, dtype=np.uint8)
        places = np.flatnonzero(data >= 0xC2)
        return cls(places, data[places], data[places + 1])

    def spaces(self, text: bytes) -> list[bytes]:
        """Which white space outside ASCII the text holds."""
        data = np.frombuffer(text, dtype=np.uint8)
        held = {bytes((0xC2, second)) for second in np.unique(self.second[self.first == 0xC2]).tolist()}
        for lead in (0xE1, 0xE2, 0xE3):
            places = self.places[self.first == lead]
            codes = np.unique(data[places + 1].astype(np.int32) << 8 | data[places + 2])
            held |= {bytes((lead, code >> 8, code & 0xFF)) for code in codes.tolist()}
        return [space for space in _OTHER_SPACES if space in held]

    def latin_capitals(self) -> Places:
        """Places of the second bytes of À to Þ (U+00C0 to U+00DE without the multiplication sign)."""
        second = self.second
        return self.places[(self.first == 0xC3) & (second <= 0x9E) & (second != 0x97)] + 1

    def unknown(self) -> Places:
        """Characters that might have a lower case which the fast path does not know.

        U+2000 to U+20FF (E2 80 to E2 83: punctuation, currency) and U+1F000 to U+1FFFF (F0 9F: emoji) have none.
        """
        unknown = _UNKNOWN_LEADS[self.first]
        unknown |= (self.first == 0xE2) & (self.second > 0x83)
        unknown |= (self.first == 0xF0) & (self.second != 0x9F)
        return self.places[unknown]

    def angle_quotes(self) -> Places:
        """Closing angle quotes, which are also signs of menus."""
        return self.places[(self.first == 0xC2) & (self.second == 0xBB)]


@dataclass(frozen=True)
class CleanedBlock:
    """A block after cleaning.

    Attributes:
        text: UTF-8 lines with line feeds, one empty line between documents, none at the ends.
        statistics: what went in, what came out, what was dropped and why.
    """

    text: bytes
    statistics: PartStatistics


def clean_block(block: bytes, cleaning: Cleaning) -> CleanedBlock:
    """Clean a block of whole lines (UTF-8, ending with a line feed).

    Without collapsing of white space there is no fast path; the plain reference does the work.
    """
    statistics = PartStatistics()
    if not cleaning.collapse_whitespace:
        return _clean_plainly(block, cleaning, statistics)
    flat = _collapse(block)
    ends = np.flatnonzero(np.frombuffer(flat, dtype=np.uint8) == 0x0A)
    statistics.raw = text_statistics(flat, ends)
    statistics.raw.characters = _count_characters(block)
    statistics.raw.bytes = len(block)
    letters = _Letters.of(flat)
    lower = flat.lower()
    suspicious = _suspicious_lines(flat, lower, ends, letters, cleaning)
    lower = _lower_capitals(lower, letters) if cleaning.lower_case else flat
    parts: list[bytes] = []
    done = 1
    for start, end in suspicious:
        cleaned, reason = clean_line(flat[start:end].decode("utf-8"), cleaning)
        parts.append(lower[done:start])
        if cleaned is not None:
            parts.append(cleaned.encode("utf-8") + b"\n")
        else:
            statistics.dropped[reason] += 1
        done = end + 1
    parts.append(lower[done:])
    text = b"".join(parts)
    if cleaning.minimum_characters > 1:
        text = _drop_short(text, cleaning.minimum_characters, statistics)
    text = _single_empty_lines(text)
    count_clean(statistics, text, cleaning)
    return CleanedBlock(text, statistics)


def count_clean(statistics: PartStatistics, text: bytes, cleaning: Cleaning) -> None:
    """Count a clean text, in place of what was counted as clean so far."""
    statistics.count_clean(text)
    if not cleaning.collapse_whitespace:
        statistics.clean.tokens = text_statistics(_collapse(text)).tokens


def _clean_plainly(block: bytes, cleaning: Cleaning, statistics: PartStatistics) -> CleanedBlock:
    raw = block.decode("utf-8")
    statistics.raw = text_statistics(_collapse(block))
    statistics.raw.characters = _count_characters(block)
    statistics.raw.bytes = len(block)
    for line in raw.split("\n"):
        _, reason = clean_line(line, cleaning)
        if reason and reason != "blank":
            statistics.dropped[reason] += 1
    text = clean_documents(raw, cleaning).encode("utf-8")
    count_clean(statistics, text, cleaning)
    return CleanedBlock(text, statistics)


def _collapse(block: bytes) -> bytes:
    """A line feed, then the block with every run of white space as one space and none at the ends of lines."""
    flat = b"\n" + block
    data = np.frombuffer(flat, dtype=np.uint8)
    if np.count_nonzero(data < 0x20) != np.count_nonzero(data == 0x0A):
        flat = flat.translate(_ASCII_SPACES)
    for space in _Letters.of(flat).spaces(flat):
        flat = flat.replace(space, b" ")
    data = np.frombuffer(flat, dtype=np.uint8)
    blank, line_feed = data == 0x20, data == 0x0A
    # A space is removed where white space precedes it, and then where a line feed follows.
    surplus = blank[1:] & (blank[:-1] | line_feed[:-1])
    if surplus.any():
        data = np.concatenate([data[:1], data[1:][~surplus]])
        blank, line_feed = data == 0x20, data == 0x0A
    trailing = blank[:-1] & line_feed[1:]
    if trailing.any():
        data = np.concatenate([data[:-1][~trailing], data[-1:]])
    return data.tobytes()


def _lower_capitals(lower: bytes, letters: _Letters) -> bytes:
    """Latin-1 capitals in lower case too, in a text whose ASCII letters are."""
    capitals = letters.latin_capitals()
    if not len(capitals):
        return lower
    changed = np.frombuffer(bytearray(lower), dtype=np.uint8)
    changed[capitals] += np.uint8(0x20)
    return changed.tobytes()


def _suspicious_lines(
    flat: bytes, lower: bytes, ends: Places, letters: _Letters, cleaning: Cleaning
) -> list[tuple[int, int]]:
    """Start and end of the lines that only the reference may clean, in order; `flat` starts with a line feed.

    `ends` are the places of its line feeds.
    """
    places: list[Places] = []
    if cleaning.remove_urls:
        places += [_find_all(lower, sign) for sign in (b"://", b"@", b"www.")]
        if b"/" in flat:
            places.append(_array([match.start() for match in _HOST_END.finditer(lower)]))
    if cleaning.remove_listings:
        quotes = letters.angle_quotes()
        spaced = np.frombuffer(flat, dtype=np.uint8)[quotes - 1] == 0x20
        places += [_find_all(flat, b"|"), _find_all(flat, b">"), quotes[spaced]]
        places.append(_array([match.start() + 1 for match in _MAY_BE_ITEM.finditer(flat)]))
    places.append(letters.unknown())
    found = np.concatenate(places)
    if not len(found):
        return []
    # A place belongs to the line between the line feed before it and the next one.
    lines = np.unique(np.searchsorted(ends, found, side="left"))
    starts, stops = (ends[lines - 1] + 1).tolist(), ends[lines].tolist()
    return [(start, stop) for start, stop in zip(starts, stops, strict=True) if stop > start]


def _array(values: list[int]) -> Places:
    return np.asarray(values, dtype=np.int64)


def _find_all(text: bytes, sign: bytes) -> Places:
    places, place = [], text.find(sign)
    while place >= 0:
        places.append(place)
        # One place a line is enough.
        line_end = text.find(b"\n", place)
        place = text.find(sign, line_end) if line_end >= 0 else -1
    return _array(places)


def _count_characters(text: bytes) -> int:
    """Characters without line feeds."""
    data = np.frombuffer(text, dtype=np.uint8)
    return int(len(data) - np.count_nonzero(continuation_bytes(data)) - np.count_nonzero(data == 0x0A))


def _drop_short(text: bytes, minimum: int, statistics: PartStatistics) -> bytes:
    lengths = line_lengths(text)
    short = (lengths > 0) & (lengths < minimum)
    statistics.dropped["short"] += int(np.count_nonzero(short))
    lines = text.split(b"\n")[:-1]
    return b"".join(line + b"\n" for line, drop in zip(lines, short, strict=True) if not drop)


def _single_empty_lines(text: bytes) -> bytes:
    """One empty line between documents, none at the ends."""
    data = np.frombuffer(text, dtype=np.uint8) == 0x0A
    if np.any(data[2:] & data[1:-1] & data[:-2]):
        while b"\n\n\n" in text:
            text = text.replace(b"\n\n\n", b"\n\n")
    text = text.strip(b"\n")
    return text + b"\n" if text else b""
