"""A table of labelled texts, as a user has one: short Spanish news and their topic, from a seed."""

from __future__ import annotations

import random

from ligero.synthetic.documents import TOPICS, draw_document

NAMES = {"CCAT": "empresas", "ECAT": "economía", "GCAT": "sociedad", "MCAT": "mercados"}
HEADER = ("texto", "tema")


def labelled_texts(seed: int, rows: int) -> list[tuple[str, str]]:
    """(text, topic) of `rows` different texts, the topics in turn."""
    rng = random.Random(f"ligero/{seed}/table")
    found: dict[str, str] = {}
    while len(found) < rows:
        topic = TOPICS[len(found) % len(TOPICS)]
        text = " ".join(draw_document(rng, 0, (topic,)).paragraphs)
        found.setdefault(text, NAMES[topic])
    return list(found.items())
