"""Newspaper documents of four topics in the shape of Reuters RCV2, and the index files of MLDoc."""

from __future__ import annotations

import random
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from ligero.synthetic import domains
from ligero.synthetic.grammar import Voice, say

TOPICS = ("CCAT", "ECAT", "GCAT", "MCAT")
_SUBTOPIC = {"CCAT": "C15", "ECAT": "E12", "GCAT": "GPOL", "MCAT": "M11"}


@dataclass(frozen=True)
class Document:
    """A newspaper document: identifier as MLDoc writes it, topics (one for those of the index), paragraphs."""

    folder: str
    item: int
    topics: tuple[str, ...]
    headline: str
    paragraphs: tuple[str, ...]
    encoding: str

    @property
    def doc_id(self) -> str:
        return f"{self.folder}-{self.item}"

    @property
    def member(self) -> str:
        """Path inside the archive."""
        return f"{self.folder}/{self.item}newsML.xml"

    def xml(self) -> bytes:
        """The document as XML, in the encoding that it declares."""
        body = "\n".join(f"<p>{escape(p)}</p>" for p in self.paragraphs)
        codes = [code for topic in self.topics for code in (topic, _SUBTOPIC[topic])]
        topics = "\n".join(f"<code code={quoteattr(code)}></code>" for code in codes)
        text = (
            f'<?xml version="1.0" encoding="{self.encoding}" ?>\n'
            f'<newsitem itemid="{self.item}" id="root" date="1996-08-20" xml:lang="es">\n'
            f"<title>{escape(self.headline)}</title>\n<headline>{escape(self.headline)}</headline>\n"
            f"<text>\n{body}\n</text>\n<copyright>Texto generado por Ligero.</copyright>\n<metadata>\n"
            f'<codes class="bip:countries:1.0">\n<code code="SPAIN"></code>\n</codes>\n'
            f'<codes class="bip:topics:1.0">\n{topics}\n</codes>\n</metadata>\n</newsitem>\n'
        )
        return text.encode(self.encoding)


def paragraphs(voice: Voice, topics: tuple[str, ...]) -> list[str]:
    """Two to four sentences: the topics' own ones among some that fit any topic."""
    rng = voice.rng
    sentences = [
        say(rng.choice(domains.NEWS[rng.choice(topics)]), voice) for _ in range(rng.choice((1, 1, 2)))
    ]
    # Sentences of other topics as asides keep single words from deciding.
    if rng.random() < 0.15:
        sentences.append(say(rng.choice(domains.NEWS[rng.choice(TOPICS)]), voice))
    sentences += [say(rng.choice(domains.NEUTRAL_NEWS), voice) for _ in range(rng.choice((1, 1, 2)))]
    rng.shuffle(sentences)
    return sentences


def draw_document(rng: random.Random, item: int, topics: tuple[str, ...]) -> Document:
    """A document about ``topics`` (none: about something that has no code)."""
    voice = Voice(rng).with_pools(per=2, full=1, loc=2, pais=1, org=2, brand=1)
    lines = paragraphs(voice, topics or TOPICS)
    about = domains.NEWS[rng.choice(topics or TOPICS)] if rng.random() < 0.7 else domains.NEUTRAL_NEWS
    headline = say(rng.choice(about), voice).rstrip(".")
    encoding = rng.choice(("iso-8859-1", "utf-8"))
    return Document(f"REUTES{rng.randrange(1, 9)}", item, topics, headline, tuple(lines), encoding)
