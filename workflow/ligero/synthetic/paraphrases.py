"""PAWS-X-like pairs: the two sentences share their words, order and roles decide whether they mean the same.

Half of the kinds can be recognised by plausible roles or by a contradiction of one word; the rest only by
comparing who does what in both sentences. In each kind the words do not depend on the label.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from ligero.synthetic import lexicon as lx
from ligero.synthetic.grammar import Phrase, Voice, entity, noun_phrase, say


@dataclass(frozen=True)
class Pair:
    first: str
    second: str
    label: int


# Agents, verb, patients: read from left to right it is the way of the world.
ROLES: tuple[tuple[str, str, str], ...] = (
    ("m:policía m:soldado", "detener vigilar", "m:ladrón m:pirata"),
    ("m:médico f:enfermera", "curar atender", "m:enfermo f:paciente"),
    ("m:maestro f:profesora", "enseñar examinar", "m:alumno f:alumna"),
    ("m:lobo m:zorro", "atacar devorar", "m:cordero m:pollo"),
)
ADJUNCTS = ("ayer", "el/DET day", "en loc", "por la/DET mañana", "en month")
FAMILY_VERBS = ("vencer", "saludar", "visitar", "criticar", "ayudar", "seguir")
COLOURS = tuple(map(lx.adjective, ("blanco", "negro", "rojo", "viejo", "nuevo", "pequeño")))


def _noun(item: str) -> lx.Noun:
    gender, word = item.split(":")
    return lx.Noun(word, lx.plural_of(word), gender)


ROLE_NOUNS = tuple(
    (tuple(map(_noun, agents.split())), tuple(verbs.split()), tuple(map(_noun, patients.split())))
    for agents, verbs, patients in ROLES
)


def clause(voice: Voice, verb: str, agent: Phrase, patient: Phrase, passive: bool, where: str) -> str:
    """One event; ``where`` is a pattern of an adjunct, put last unless it begins with ``^`` (then first)."""
    core = f"$B v:ser.pret v:{verb}.part por $A" if passive else f"$A v:{verb}.pret a $B"
    pattern = f"{where[1:]} , > {core} ." if where.startswith("^") else f"{core} {where} ."
    return say(pattern, voice, A=agent, B=patient)


def _fixed(pattern: str, voice: Voice) -> str:
    """An adjunct whose random parts are drawn once, so that both sentences have the same."""
    kind = pattern.rsplit(" ", 1)[-1]
    if kind in ("day", "loc", "month"):
        word = entity(kind, voice.rng).tokens[0]
        return f"{pattern.rsplit(' ', 1)[0]} {word.form}/{word.upos}"
    return pattern


def _swapped(voice: Voice, label: int, agent: Phrase, patient: Phrase, verbs: tuple[str, ...]) -> Pair:
    """The event described twice, in another voice or with its adjunct moved; not a paraphrase: with the roles swapped."""
    rng = voice.rng
    verb, where = rng.choice(verbs), _fixed(rng.choice(ADJUNCTS), voice)
    passive, flip = rng.random() < 0.3, rng.random() < 0.4
    first = clause(voice, verb, agent, patient, passive ^ flip, where if flip else "^" + where)
    doer, other = (agent, patient) if label else (patient, agent)
    return Pair(first, clause(voice, verb, doer, other, passive, where), label)


def roles(voice: Voice, label: int) -> Pair:
    """Agent and patient by their nature: swapping them gives nonsense (*el ladrón detuvo al policía*)."""
    agents, verbs, patients = voice.rng.choice(ROLE_NOUNS)
    agent = noun_phrase("el", voice.rng.choice(agents))
    # Of one gender: otherwise articles and participles would betray the order to a bag of words.
    patient = noun_phrase("el", voice.rng.choice([n for n in patients if n.gender == agent.gender]))
    return _swapped(voice, label, agent, patient, verbs)


def people(voice: Voice, label: int) -> Pair:
    """Two persons or clubs: only the comparison of both sentences tells."""
    kind = voice.rng.choice(("first", "first", "club"))
    agent, patient = entity(kind, voice.rng), entity(kind, voice.rng)
    while patient.tokens == agent.tokens or patient.gender != agent.gender:
        patient = entity(kind, voice.rng)
    return _swapped(voice, label, agent, patient, FAMILY_VERBS)


def attributes(voice: Voice, label: int) -> Pair:
    """Two things, two attributes: *un perro negro y un gato blanco*, bound the same way or crossed."""
    rng = voice.rng
    animals = rng.sample([n for n in lx.NOUNS["animal"] if n.gender == "m"], 2)
    colours = rng.sample(COLOURS, 2)
    owner = entity("first", rng)
    bindings = list(zip(animals, colours, strict=True))
    first = say("$O v:comprar.pret $A y $B .", voice, O=owner, **_bind(bindings))
    crossed = bindings if label else list(zip(animals, colours[::-1], strict=True))
    second = say("$O v:comprar.pret $A y $B .", voice, O=owner, **_bind(crossed[::-1]))
    return Pair(first, second, label)


def _bind(bindings: list[tuple[lx.Noun, lx.Adjective]]) -> dict[str, Phrase]:
    return {key: noun_phrase("un", n, a) for key, (n, a) in zip("AB", bindings, strict=True)}


def facts(voice: Voice, label: int) -> Pair:
    """A denial, another number or an antonym in one of the two sentences, in either one equally often."""
    rng = voice.rng
    kind = rng.choice(("denial", "denial", "number", "antonym"))
    who, where = noun_phrase("el", rng.choice(lx.NOUNS["oficio"])), _fixed("en loc", voice)
    denied = rng.random() < 0.2
    if kind == "antonym":
        one, other = rng.choice(lx.ANTONYMS[:3])[:: rng.choice((1, -1))]
        place = rng.choice(lx.NOUNS["obra"])
        words = [one, one if label else other]
        texts = [f"> $P de {where.split()[1]} v:estar.impf {a.form(place.gender, False)}/ADJ" for a in words]
        bound = {"P": noun_phrase("el", place)}
        return Pair(
            say(texts[0] + " ayer .", voice, **bound), say("ayer , " + texts[1] + " .", voice, **bound), label
        )
    item = rng.choice(lx.NOUNS["comida"])
    numbers = rng.sample(("dos", "tres", "cuatro"), 2)
    number = [numbers[0], numbers[0] if kind == "denial" or label else numbers[1]]
    denials = [denied, denied if kind == "number" or label else not denied]
    what = [noun_phrase("num", item, None, n) for n in number]
    verb = rng.choice(("comprar", "vender", "cocinar"))
    one_text, other_text = (f"> $A {'no ' * d}v:{verb}.pret $B" for d in denials)
    return Pair(
        say(f"{one_text} {where} .", voice, A=who, B=what[0]),
        say(f"{where} , {other_text} .", voice, A=who, B=what[1]),
        label,
    )


KINDS: tuple[tuple[Callable[[Voice, int], Pair], int], ...] = (
    (roles, 60),
    (facts, 30),
    (people, 6),
    (attributes, 4),
)


def draw_pair(rng: random.Random, label: int) -> Pair:
    """A pair of a random kind with the wanted label (1: paraphrase, 0: not)."""
    kind = rng.choices([k for k, _ in KINDS], [w for _, w in KINDS])[0]
    return kind(Voice(rng), label)
