"""Reuters NewsML documents of RCV2 (also RCV1): headline, paragraphs and topic codes, out of folders and archives."""

from __future__ import annotations

import re
import xml.parsers.expat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ligero.common.errors import DataError
from ligero.common.files import files_below
from ligero.sources.archives import members

TOPICS_CLASS = "bip:topics:1.0"
_FILE_NAME = re.compile(r"(\d+)(?:newsML)?\.xml", re.IGNORECASE)


@dataclass
class NewsDocument:
    """What a document says and what it is about."""

    itemid: str = ""
    title: str = ""
    headline: str = ""
    paragraphs: list[str] = field(default_factory=list)
    topics: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Headline (or title) and paragraphs, a line each."""
        return "\n".join(part for part in (self.headline or self.title, *self.paragraphs) if part)


def parse_newsml(name: Path | str, raw: bytes) -> NewsDocument:
    """Parse one document; its encoding is the one that its XML declaration names.

    Raises:
        DataError: not well-formed, not a newsitem, or with declarations of entities (which could expand without bound).
    """
    handler = _Handler(name)
    parser = xml.parsers.expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = handler.start
    parser.EndElementHandler = handler.end
    parser.CharacterDataHandler = handler.characters
    parser.EntityDeclHandler = handler.entity
    try:
        parser.Parse(raw, True)
    except xml.parsers.expat.ExpatError as error:
        raise DataError(
            name, error.lineno, f"not well-formed XML: {error}.", "Is the file truncated?"
        ) from error
    except (LookupError, UnicodeError) as error:
        raise DataError(name, 1, f"encoding named in the XML declaration cannot be read: {error}.") from error
    if not handler.document.itemid:
        raise DataError(name, 1, "expected <newsitem itemid=...> (Reuters NewsML).")
    return handler.document


class _Handler:
    """Collects text while expat walks through a document."""

    def __init__(self, name: Path | str) -> None:
        self.name = name
        self.document = NewsDocument()
        self.collected: list[str] | None = None
        self.in_topics = False
        self.in_text = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "newsitem":
            self.document.itemid = attributes.get("itemid", "")
        elif tag in ("title", "headline") or (tag == "p" and self.in_text):
            self.collected = []
        elif tag == "text":
            self.in_text = True
        elif tag == "codes":
            self.in_topics = attributes.get("class") == TOPICS_CLASS
        elif tag == "code" and self.in_topics:
            self.document.topics.append(attributes.get("code", ""))

    def end(self, tag: str) -> None:
        if tag == "text":
            self.in_text = False
        elif tag == "codes":
            self.in_topics = False
        elif tag in ("title", "headline", "p") and self.collected is not None:
            text = " ".join("".join(self.collected).split())
            self.collected = None
            if tag == "p":
                self.document.paragraphs.append(text)
            else:
                setattr(self.document, tag, text)

    def characters(self, data: str) -> None:
        if self.collected is not None:
            self.collected.append(data)

    def entity(self, *_: Any) -> None:
        raise DataError(
            self.name, None, "declares XML entities, which Reuters documents never do.", "Do not use it."
        )


def find_documents(
    wanted: Iterable[tuple[str, str]], archives: Iterable[Path], folder: Path | None
) -> dict[tuple[str, str], NewsDocument]:
    """The documents of (folder name, item id) pairs.

    A document is `.../FOLDER/ITEMIDnewsML.xml` (or `ITEMID.xml`). Where FOLDER does not occur, the item id alone
    decides; the same document may be there several times.

    Raises:
        DataError: different documents for one pair, or a document that cannot be parsed.
    """
    pairs = set(wanted)
    items: dict[str, set[tuple[str, str]]] = {}
    for pair in pairs:
        items.setdefault(pair[1], set()).add(pair)
    exact: dict[tuple[str, str], NewsDocument] = {}
    loose: dict[str, list[tuple[str, NewsDocument]]] = {}
    for name, raw in _documents(archives, folder, items):
        path = PurePosixPath(name)
        item = _FILE_NAME.fullmatch(path.name)
        assert item
        document = parse_newsml(name, raw)
        if document.itemid != item.group(1):
            raise DataError(
                name, None, f"is named after item {item.group(1)} but holds item {document.itemid}."
            )
        pair = (path.parent.name, item.group(1))
        if pair in exact and exact[pair] != document:
            raise DataError(name, None, "another document with this folder and item id was read before.")
        if pair in pairs:
            exact[pair] = document
        loose.setdefault(item.group(1), []).append((name, document))
    for item_id, ((first, document), *others) in loose.items():
        pair, *more = items[item_id]
        if more or pair in exact:
            continue
        for name, other in others:
            if other != document:
                problem = f"holds another document of item {item_id} than {first}, and neither is in a folder {pair[0]}."
                raise DataError(name, None, problem, "Put the right one there, or remove the other.")
        exact[pair] = document
    return exact


def _documents(
    archives: Iterable[Path], folder: Path | None, items: dict[str, set[tuple[str, str]]]
) -> Iterator[tuple[str, bytes]]:
    """(path, contents) of every XML file whose item id is wanted."""

    def is_wanted(name: str) -> bool:
        match = _FILE_NAME.fullmatch(PurePosixPath(name).name)
        return match is not None and match.group(1) in items

    for archive in archives:
        for name, _, stream in members(archive):
            if is_wanted(name):
                yield f"{archive}/{name}", stream.read()
    if folder is not None:
        if not folder.is_dir():
            raise DataError(
                folder,
                None,
                "rcv_dir is no folder.",
                "Give the folder that holds your Reuters RCV2 XML; NIST hands it out after an agreement "
                "(https://trec.nist.gov/data/reuters/reuters.html).",
            )
        for path in files_below(folder):
            if is_wanted(path.name):
                yield str(path), path.read_bytes()
