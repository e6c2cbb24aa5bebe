"""The raw corpus: documents of four kinds, with the dirt of real collections on top.

Documents tell things that the tasks ask about (lives, events, restatements), so that pretraining on them helps.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from ligero.synthetic import domains, inference, paraphrases, questions
from ligero.synthetic.documents import TOPICS
from ligero.synthetic.grammar import Voice, say

Document = list[str]
"""Paragraphs, one per line."""

TAGS = 6
"""Words in a line of tags."""
HOSTS = ("www.diario-ejemplo.es", "noticias.example.org", "ayuda.example.com", "foro.example.net")


def _prose(voice: Voice, patterns: tuple[str, ...], low: int, high: int) -> str:
    return " ".join(say(voice.rng.choice(patterns), voice) for _ in range(voice.rng.randint(low, high)))


def _restated(rng: random.Random) -> str:
    """A sentence and the same in other words, or something that follows from it."""
    if rng.random() < 0.5:
        pair = paraphrases.draw_pair(rng, 1)
        return f"{pair.first} {rng.choice(('Es decir: ', 'Así, ', ''))}{pair.second}"
    triple = inference.draw_triple(rng)
    return f"{triple.premise} {triple.hypotheses['entailment']}"


def _asked(rng: random.Random) -> Document:
    """A paragraph and a conversation about it."""
    told = questions.draw_paragraph(rng, rng.choice(("lives", "events", "places")), 3)
    return [told.context, *(f"—{q.text} —{q.answer[0].upper()}{q.answer[1:]}." for q in told.questions)]


def news(rng: random.Random) -> Document:
    voice = Voice(rng).with_pools(per=2, full=1, sur=1, loc=2, pais=1, org=2, brand=1, club=2)
    topic = domains.NEWS[rng.choice(TOPICS)]
    lines = []
    for _ in range(rng.randint(1, 2)):
        lines.append(
            _prose(voice, rng.choice((topic, topic, topic + domains.NEUTRAL_NEWS, domains.ENTITY_NEWS)), 2, 4)
        )
    if rng.random() < 0.6:
        lines.append(questions.draw_paragraph(rng, rng.choice(("lives", "events", "places")), 1).context)
    if rng.random() < 0.4:
        lines.append(_restated(rng))
    return lines


def tale(rng: random.Random) -> Document:
    voice = Voice(rng).with_pools(first=2, loc=1)
    lines = [_prose(voice, domains.TALES, 2, 5) for _ in range(rng.randint(1, 3))]
    lines += [_restated(rng) for _ in range(rng.randint(0, 2))]
    return lines


def manual(rng: random.Random) -> Document:
    voice = Voice(rng)
    return [_prose(voice, domains.MANUALS, 2, 5) for _ in range(rng.randint(1, 3))]


def conversation(rng: random.Random) -> Document:
    kind = rng.random()
    if kind < 0.5:
        return _asked(rng)
    if kind < 0.75:
        return [f"—{_restated(rng)}" for _ in range(rng.randint(1, 3))]
    voice = Voice(rng).with_pools(first=2, loc=1)
    lines = [say(rng.choice(domains.TALK), voice) for _ in range(rng.randint(2, 6))]
    if rng.random() < 0.5:
        lines.append(_prose(voice, domains.AMBIGUOUS_POS, 2, 4))
    return lines


def _listing(rng: random.Random) -> Document:
    """Lines of bullets, an enumeration or a menu: what the cleaning shall remove."""
    voice = Voice(rng)
    items = [
        say(rng.choice(("bare:pieza", "bare:comida", "nuda:dato", "bare:objeto")), voice) for _ in range(4)
    ]
    style = rng.randrange(4)
    if style == 0:
        return [f"* {item}" for item in items]
    if style == 1:
        return [f"{i}. {item}" for i, item in enumerate(items, 1)]
    if style == 2:
        return ["Inicio | Noticias | Contacto | Ayuda"]
    return [f"- {item}" for item in items]


def _url(rng: random.Random) -> str:
    path = rng.choice(("noticia", "ver", "articulo.php?id=", "docs/"))
    return f"{rng.choice(('http://', 'https://', ''))}{rng.choice(HOSTS)}/{path}{rng.randrange(10000)}"


def _tags(document: Document, rng: random.Random) -> str:
    """A line of words of the document between commas, as blogs and newspapers print below an article.

    Words of the generated text have fixed neighbours, and few ever precede punctuation. Subword vocabularies would spell
    the others: SentencePiece makes whole words into pieces only where they occur beside different characters.
    """
    words = sorted({w for line in document for w in re.findall(r"\w+", line.lower())})
    return f"Etiquetas: {', '.join(rng.sample(words, min(TAGS, len(words))))}."


def soil(document: Document, rng: random.Random) -> Document:
    """The document with lines of tags and some dirt: URLs, runs of white space, shouting, listings, repeated lines."""
    lines = list(document)
    for i, line in enumerate(lines):
        dice = rng.random()
        if dice < 0.04:
            lines[i] = f"{line} Más en {_url(rng)} ."
        elif dice < 0.06:
            lines[i] = f"{_url(rng)} {line}"
        elif dice < 0.10:
            lines[i] = line.replace(" ", rng.choice(("  ", "\t", "   ", " \u00a0")))
        elif dice < 0.12:
            lines[i] = "  " + line + "   "
        elif dice < 0.14:
            lines[i] = line.upper()
    if rng.random() < 0.08:
        lines[rng.randint(0, len(lines)) : 0] = _listing(rng)
    if rng.random() < 0.04:
        lines.append(lines[-1])
    if rng.random() < 0.25:
        lines.append(_tags(document, rng))
    return lines


MAKERS: dict[str, tuple[Callable[[random.Random], Document], int]] = {
    "raw/noticias.txt.xz": (news, 400_000),
    "raw/cuentos.txt.gz": (tale, 180_000),
    "raw/manuales.txt": (manual, 80_000),
    "raw/conversaciones.txt.bz2": (conversation, 540_000),
}
"""For each file its kind of document and its size in characters at scale 1."""


def corpus_text(maker: Callable[[random.Random], Document], size: int, rng: random.Random) -> str:
    """Documents of ``size`` characters together: one paragraph a line, a blank line between documents."""
    parts: list[str] = []
    length = 0
    while length < size:
        # One document in thirty stands twice, as in crawled text.
        text = rng.choice(parts) if parts and rng.random() < 0.03 else "\n".join(soil(maker(rng), rng)) + "\n"
        parts.append(text)
        length += len(text) + 1
    return "\n".join(parts)
