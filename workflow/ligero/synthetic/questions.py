"""Extractive questions: short contexts of two to four facts in which several words could be the answer.

Three sources of the same make: ``lives`` (MLQA: what happened to a person), ``events`` (SQAC: news with two actors)
and ``places`` (SQuAD-es / XQuAD: buildings). The relation that the question names is next to the answer; other candidates of its kind are next to other relations.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from ligero.synthetic import lexicon as lx
from ligero.synthetic.grammar import Phrase, Token, Voice, entity, noun_phrase, realise, render, say


@dataclass(frozen=True)
class Question:
    """A question and its answer with the character offset of the answer in the context."""

    text: str
    answer: str
    start: int


@dataclass(frozen=True)
class Paragraph:
    title: str
    context: str
    questions: tuple[Question, ...]


@dataclass(frozen=True)
class Fact:
    """A sentence pattern, the kinds of its slots, and (question pattern, answer slot) for what can be asked."""

    pattern: str
    slots: dict[str, str]
    asks: tuple[tuple[str, str], ...]


def _fact(pattern: str, slots: str, *asks: str) -> Fact:
    """``slots`` as ``X=loc Y=year``; ``asks`` as ``question > slot``."""
    pairs = dict(item.split("=") for item in slots.split())
    questions = tuple((q, slot) for q, slot in (ask.rsplit(" > ", 1) for ask in asks))
    return Fact(pattern, pairs, questions)


LIFE = (
    _fact(
        "v:nacer.pret en $X en $Y .",
        "X=loc Y=year",
        "¿ dónde v:nacer.pret $A ? > X",
        "¿ cuándo v:nacer.pret $A ? > Y",
    ),
    _fact("v:estudiar.pret en $X .", "X=loc", "¿ dónde v:estudiar.pret $A ? > X"),
    _fact(
        "v:morir.pret en $X en $Y .",
        "X=loc Y=year",
        "¿ dónde v:morir.pret $A ? > X",
        "¿ cuándo v:morir.pret $A ? > Y",
    ),
    _fact("v:viajar.pret a $X .", "X=pais", "¿ a dónde v:viajar.pret $A ? > X"),
    _fact(
        "se v:casar.pret con $X en $Y .",
        "X=full Y=year",
        "¿ con quién se v:casar.pret $A ? > X",
        "¿ cuándo se v:casar.pret $A ? > Y",
    ),
    _fact("v:trabajar.pret para $X .", "X=brand", "¿ para quién v:trabajar.pret $A ? > X"),
    _fact("v:fundar.pret $X .", "X=brand", "¿ qué v:fundar.pret $A ? > X"),
    _fact("v:conocer.pret a $X .", "X=full", "¿ a quién v:conocer.pret $A ? > X"),
)
DEEDS = ("comprar", "vender", "robar", "pintar")
BUILDING = (
    _fact(
        "v:ser.pret v:construir.part por $X en $Y .",
        "X=full Y=year",
        "¿ quién v:construir.pret $A ? > X",
        "¿ cuándo @A v:ser.pret v:construir.part $A ? > Y",
    ),
    _fact(
        "v:ser.pret v:inaugurar.part por $X en $Y .",
        "X=full Y=year",
        "¿ quién v:inaugurar.pret $A ? > X",
        "¿ cuándo @A v:ser.pret v:inaugurar.part $A ? > Y",
    ),
    _fact("v:ser.pret v:pintar.part por $X .", "X=full", "¿ quién v:pintar.pret $A ? > X"),
    _fact("v:medir.pres $X metros .", "X=amount", "¿ cuántos/DET metros v:medir.pres $A ? > X"),
    _fact("v:costar.pret $X euros .", "X=amount", "¿ cuántos/DET euros v:costar.pret $A ? > X"),
    _fact(
        "v:recibir.pres $X turistas/NOUN .", "X=amount", "¿ cuántos/DET turistas/NOUN v:recibir.pres $A ? > X"
    ),
    _fact("v:pertenecer.pres a $X .", "X=brand", "¿ a quién v:pertenecer.pres $A ? > X"),
)


Sentence = tuple[str, dict[str, Phrase], list[tuple[str, str]]]
"""Pattern, bound phrases, and (question pattern, answer slot) for what can be asked."""


class _Distinct:
    """Draws entities of which none occurs twice in one context."""

    def __init__(self, voice: Voice) -> None:
        self.voice = voice
        self.used: set[str] = set()

    def draw(self, kind: str) -> Phrase:
        while True:
            phrase = entity(kind, self.voice.rng)
            words = {t.form for t in phrase.tokens}
            if not words & self.used:
                self.used |= words
                return phrase


def _paragraph(
    voice: Voice,
    title: str,
    sentences: list[Sentence],
    wanted: int,
) -> Paragraph:
    """Render the sentences one behind the other and place ``wanted`` of the possible questions."""
    context, questions = "", []
    for pattern, bound, asks in sentences:
        text = render(realise(pattern, voice, **bound))
        offset = len(context) + (1 if context else 0)
        for ask, slot in asks:
            answer = bound[slot].text
            start = text.find(answer)
            if start < 0:  # the answer opens the sentence and has a capital there
                answer = answer[0].upper() + answer[1:]
                start = text.index(answer)
            questions.append(Question(say(ask, voice, **bound), answer, offset + start))
        context = f"{context} {text}" if context else text
    return Paragraph(title, context, tuple(voice.rng.sample(questions, min(wanted, len(questions)))))


def _told(voice: Voice, subject: Phrase, facts: tuple[Fact, ...], count: int) -> tuple[str, list[Sentence]]:
    rng = voice.rng
    distinct = _Distinct(voice)
    distinct.used |= {t.form for t in subject.tokens if t.form[0].isupper()}
    sentences: list[Sentence] = []
    for i, fact in enumerate(rng.sample(facts, count)):
        bound = {"A": subject} | {slot: distinct.draw(kind) for slot, kind in fact.slots.items()}
        opening = "$A" if i == 0 else rng.choice(("luego @A", "también @A", "$A"))
        pattern = f"{opening} {fact.pattern}"
        sentences.append((pattern, bound, list(fact.asks)))
    return subject.text, sentences


def lives(voice: Voice, wanted: int) -> Paragraph:
    """Three facts about one person."""
    title, sentences = _told(voice, entity("full", voice.rng), LIFE, 3)
    return _paragraph(voice, title, sentences, wanted)


def places(voice: Voice, wanted: int) -> Paragraph:
    """Three or four facts about one building."""
    rng = voice.rng
    building = noun_phrase("el", rng.choice(lx.NOUNS["obra"]))
    title, sentences = _told(voice, building, BUILDING, rng.choice((3, 3, 4)))
    return _paragraph(voice, title, sentences, wanted)


def events(voice: Voice, wanted: int) -> Paragraph:
    """Two deeds of two persons in two cities, and where and when the money for them came from."""
    rng = voice.rng
    distinct = _Distinct(voice)
    things = rng.sample(lx.NOUNS["fruta"] + lx.NOUNS["vehiculo"], 2)
    numbers = rng.sample(list(lx.NUMBER_WORDS.values()), 2)
    sentences: list[Sentence] = []
    for verb, thing, number in zip(rng.sample(DEEDS, 2), things, numbers, strict=True):
        bound = {
            "A": distinct.draw("full"),
            "N": Phrase((Token(number, number, "NUM", "NumType=Card"),), "m", True),
            "T": noun_phrase("bare", thing),
            "Z": distinct.draw("loc"),
        }
        how_many = "cuántas/DET" if thing.gender == "f" else "cuántos/DET"
        who = (f"¿ quién v:{verb}.pret $T ?", "A")
        count = (f"¿ {how_many} $T > v:{verb}.pret $A ?", "N")
        sentences.append((f"$A v:{verb}.pret $N $T en $Z .", bound, [who, count]))
    source = {"X": distinct.draw("loc"), "Y": distinct.draw("year")}
    where = ("¿ de dónde > v:llegar.pret el/DET dinero/NOUN ?", "X")
    when = ("¿ cuándo > v:llegar.pret el/DET dinero/NOUN ?", "Y")
    closing = "el/DET dinero/NOUN v:llegar.pret de $X en $Y ."
    sentences.insert(rng.randrange(3), (closing, source, [where, when]))
    return _paragraph(voice, f"Sucesos de {source['X'].text}", sentences, wanted)


MAKERS = {"lives": lives, "events": events, "places": places}


def draw_paragraph(rng: random.Random, maker: str, wanted: int) -> Paragraph:
    """A paragraph of the source ``maker`` with at most ``wanted`` questions."""
    return MAKERS[maker](Voice(rng), wanted)
