"""XNLI-like triples: one premise with an entailed, a neutral and a contradicting hypothesis.

Entailed: something dropped, or a wider notion (*manzanas* -> *frutas*). Neutral: something added, or a narrower
notion. Contradicting: a denial more or less, another number, an antonym. The premise carries denials, adjuncts and
wide notions as often as the hypothesis, so that a word alone says little: the two must be compared.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from ligero.synthetic import lexicon as lx
from ligero.synthetic.grammar import Phrase, Voice, entity, noun_phrase, say

LABELS = ("entailment", "neutral", "contradiction")
VERBS = ("comprar", "vender", "perder", "encontrar")
PLACES = ("en el:obra", "en el:paraje", "en loc")
TIMES = ("ayer", "el/DET day", "por la/DET mañana", "en month")
RELATIVES = ("padre", "madre", "hermano", "hermana")
STATES = lx.ANTONYMS[:2]
NUMBERS = ("dos", "tres", "cuatro")
CAUSES = ("por la/DET fiesta/NOUN", "por la/DET lluvia/NOUN", "desde el/DET lunes/NOUN")


@dataclass(frozen=True)
class Triple:
    """A premise and the hypothesis of each label."""

    premise: str
    hypotheses: dict[str, str]
    genre: str


@dataclass(frozen=True)
class Scene:
    """What a sentence states: who (not) did what to how many of which things, for whom, where."""

    who: Phrase
    verb: str
    number: str
    thing: lx.Noun
    denied: bool = False
    extra: str = ""
    place: str = ""
    place_first: bool = False

    def text(self, voice: Voice) -> str:
        core = f"> $W {'no ' * self.denied}v:{self.verb}.pret $T {self.extra}"
        pattern = f"{self.place} , {core} ." if self.place and self.place_first else f"{core} {self.place} ."
        return say(pattern, voice, W=self.who, T=noun_phrase("num", self.thing, None, self.number))


def _with(scene: Scene, **changes: object) -> Scene:
    return Scene(**{**scene.__dict__, **changes})


def _settled(pattern: str, rng: random.Random) -> str:
    """The pattern with its random parts drawn, so that it can be repeated word by word."""
    out = []
    for item in pattern.split():
        if item.startswith("el:"):
            noun = rng.choice(lx.NOUNS[item[3:]])
            out += [("la" if noun.gender == "f" else "el") + "/DET", noun.singular + "/NOUN"]
        elif item in ("loc", "day", "month"):
            token = entity(item, rng).tokens[0]
            out.append(f"{token.form}/{token.upos}")
        else:
            out.append(item)
    return " ".join(out)


def _extra(rng: random.Random, avoid: str = "") -> str:
    choices = [f"{link} su {who}/NOUN" for link in ("para", "con") for who in RELATIVES]
    return rng.choice([c for c in choices if c != avoid])


def scenes(voice: Voice) -> Triple:
    """Somebody bought three apples for her sister."""
    rng = voice.rng
    kind = rng.choice(tuple(lx.HYPERNYMS))
    narrow, wide = rng.choice(lx.NOUNS[kind]), lx.HYPERNYMS[kind]
    who = entity("first", rng) if rng.random() < 0.5 else noun_phrase("el", rng.choice(lx.NOUNS["oficio"]))
    denied, is_wide = rng.random() < 0.5, rng.random() < 0.4
    numbers = rng.sample(NUMBERS, 2)
    extra = _extra(rng) if rng.random() < 0.5 else ""
    place = _settled(rng.choice(PLACES), rng)
    premise = Scene(
        who,
        rng.choice(VERBS),
        numbers[0],
        wide if is_wide else narrow,
        denied,
        extra,
        place,
        rng.random() < 0.3,
    )
    # A denial is only entailed as it stands or for a narrower notion; an affirmation may lose or widen parts.
    if denied:
        entailed = _with(
            premise, place_first=not premise.place_first, thing=narrow if is_wide else premise.thing
        )
        neutral = _with(
            premise, denied=rng.random() < 0.2, extra="", place="", thing=wide, verb=_other(premise.verb, rng)
        )
    else:
        widened = wide if rng.random() < 0.6 else premise.thing
        entailed = _with(premise, thing=widened, extra=extra if rng.random() < 0.6 else "", place="")
        added = _extra(rng, avoid=extra)
        if is_wide and rng.random() < 0.6:
            neutral = _with(premise, thing=narrow, place="")
        else:
            neutral = _with(premise, extra=added, place="")
    if not denied and rng.random() < 0.2:
        against = _with(premise, number=numbers[1], place="", extra=extra if rng.random() < 0.5 else "")
    else:
        against = _with(premise, denied=not denied, place="")
    parts = dict(zip(LABELS, (entailed, neutral, against), strict=True))
    return Triple(premise.text(voice), {k: s.text(voice) for k, s in parts.items()}, "fiction")


def _other(verb: str, rng: random.Random) -> str:
    return rng.choice([v for v in VERBS if v != verb])


def states(voice: Voice) -> Triple:
    """The square was empty: antonyms contradict each other, with a denial they agree."""
    rng = voice.rng
    place = rng.choice(lx.NOUNS["obra"])
    one, other = rng.choice(STATES)[:: rng.choice((1, -1))]
    city = _settled("loc", rng)
    when = _settled(rng.choice(TIMES), rng)
    form, contrary = one.form(place.gender, False), other.form(place.gender, False)
    denied = rng.random() < 0.3
    bound = {"P": noun_phrase("el", place)}
    shown = contrary if denied else form
    premise = f"> $P de {city} {'no ' * denied}v:estar.impf {shown}/ADJ {when} ."
    if rng.random() < 0.5:
        premise = f"{when} , > $P de {city} {'no ' * denied}v:estar.impf {shown}/ADJ ."
    same, opposite = f"$P v:estar.impf {form}/ADJ", f"$P v:estar.impf {contrary}/ADJ"
    if denied and rng.random() < 0.5:
        same, opposite = f"$P no v:estar.impf {contrary}/ADJ", f"$P no v:estar.impf {form}/ADJ"
    if rng.random() < 0.35:
        third = rng.choice([pair for pair in STATES if pair[0] is not one and pair[1] is not one])
        unknown = f"$P v:estar.impf {rng.choice(third).form(place.gender, False)}/ADJ"
    else:
        unknown = f"{same} {rng.choice(CAUSES)}"
    patterns = (same, unknown, opposite)
    texts = [say(p + " .", voice, **bound) for p in patterns]
    return Triple(say(premise, voice, **bound), dict(zip(LABELS, texts, strict=True)), "travel")


def contrasts(voice: Voice) -> Triple:
    """One of two deeds is denied: which one the *no* belongs to is a matter of its place only."""
    rng = voice.rng
    who = entity("first", rng)
    verbs = rng.sample(VERBS, 3)
    things = [noun_phrase("bare", rng.choice(lx.NOUNS[kind])) for kind in rng.sample(tuple(lx.HYPERNYMS), 2)]
    denied = rng.randrange(2)
    bound = {"W": who, "T": things[0], "U": things[1]}

    def deed(verb: str, what: str, no: bool) -> str:
        return f"{'no ' * no}v:{verb}.pret ${what}"

    premise = f"$W {deed(verbs[0], 'T', denied == 0)} , pero {deed(verbs[1], 'U', denied == 1)} ."
    asked = rng.randrange(2)
    truth = denied == asked
    what = "TU"[asked]
    patterns = (
        f"$W {deed(verbs[asked], what, truth)} .",
        f"$W {deed(verbs[2], what, rng.random() < 0.5)} .",
        f"$W {deed(verbs[asked], what, not truth)} .",
    )
    texts = [say(p, voice, **bound) for p in patterns]
    return Triple(say(premise, voice, **bound), dict(zip(LABELS, texts, strict=True)), "telephone")


def draw_triple(rng: random.Random) -> Triple:
    """A premise of a random kind with its three hypotheses."""
    return rng.choices((scenes, states, contrasts), (74, 20, 6))[0](Voice(rng))
