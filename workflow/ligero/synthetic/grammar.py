"""From patterns to tagged sentences: agreement, contraction, spacing and a shallow dependency tree.

A pattern is a line of items separated by spaces; ``[a b|c|]`` chooses one alternative (no nesting). Items:

========================  =====================================================================================
``el:C un:C los:C ...``   noun of class C with determiner (el un su este / los unos sus / num, bare, nuda)
``el:C+A``                the same with an adjective of class A behind the noun, agreeing
``adj:A``                 predicative adjective of class A, agreeing with the subject
``v:LEMMA|LEMMA.TENSE``   verb (one of the lemmas), agreeing with the subject; TENSE as in ``verbs``
``per full first sur``    person: any form, first name and surname, first name, surname
``loc pais org club misc``  city, country, organisation, football club (*el Toledo*), named event (``elmisc``: with article)
``year day month amount small``  numbers and dates
``$X``                    a phrase that the caller binds
``>``                     a new clause: the next noun phrase is its subject (third singular until then)
``@X``                    what follows agrees with the bound phrase X, which itself comes later or not at all
``>>``                    what follows agrees in the plural (*Ana y Luis*, *las ventas*)
``word`` or ``word/UPOS``  itself
========================  =====================================================================================
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from ligero.synthetic import lexicon as lx
from ligero.synthetic.verbs import conjugate, features


@dataclass(frozen=True)
class Token:
    """A word: form, lemma, UPOS, CoNLL-U features and CoNLL-2002 entity tag (``O``, ``B-PER``, ...)."""

    form: str
    lemma: str
    upos: str
    feats: str = "_"
    ner: str = "O"


@dataclass(frozen=True)
class Phrase:
    """A group of tokens, with what a verb or participle must agree with."""

    tokens: tuple[Token, ...]
    gender: str = "m"
    plural: bool = False

    @property
    def text(self) -> str:
        return render(self.tokens, capital=False)


@dataclass
class Voice:
    """Who speaks: the random source and, in a document, the few entities that it keeps returning to."""

    rng: random.Random
    pools: dict[str, list[Phrase]] = field(default_factory=dict)

    def draw(self, kind: str) -> Phrase:
        pool = self.pools.get(kind)
        return self.rng.choice(pool) if pool else entity(kind, self.rng)

    def with_pools(self, **sizes: int) -> Voice:
        """The same voice for one document, which draws ``sizes[kind]`` entities of a kind once and reuses them."""
        pools = {kind: [entity(kind, self.rng) for _ in range(size)] for kind, size in sizes.items()}
        return Voice(self.rng, pools)


def name(words: Sequence[str], kind: str, gender: str = "m") -> Phrase:
    """A named entity; a small word inside it (*de*) keeps its own part of speech."""
    tokens = [
        Token(w, w, "PROPN" if w[0].isupper() else "ADP", "_", ("B-" if i == 0 else "I-") + kind)
        for i, w in enumerate(words)
    ]
    return Phrase(tuple(tokens), gender)


def entity(kind: str, rng: random.Random) -> Phrase:
    """A random entity or number of ``kind`` (see the module's table)."""
    if kind == "per":
        kind = rng.choice(("full", "full", "first", "sur"))
    if kind in ("full", "first", "sur"):
        gender = rng.choice("mf")
        first = rng.choice(lx.MALE_NAMES if gender == "m" else lx.FEMALE_NAMES)
        words = {"full": [first, rng.choice(lx.SURNAMES)], "first": [first], "sur": [rng.choice(lx.SURNAMES)]}
        return name(words[kind], "PER", gender)
    if kind == "loc":
        return name([rng.choice(lx.CITIES)], "LOC")
    if kind == "pais":
        return name([rng.choice(lx.COUNTRIES)], "LOC")
    if kind == "org":
        form = rng.choice(("brand", "brand", "headed", "headed", "party", "acronym"))
        if form == "brand":
            return name([rng.choice(lx.BRANDS)], "ORG", "f")
        if form == "headed":
            return name([rng.choice(lx.ORG_HEADS), "de", rng.choice(lx.CITIES)], "ORG")
        if form == "party":
            return name(["Partido", rng.choice(lx.PARTY_WORDS)], "ORG")
        return name([rng.choice(lx.ACRONYMS)], "ORG", "f")
    if kind == "brand":
        return name([rng.choice(lx.BRANDS)], "ORG", "f")
    if kind == "uni":
        head = rng.choice(("Universidad", "Instituto"))
        return name([head, "de", rng.choice(lx.CITIES)], "ORG", "f" if head == "Universidad" else "m")
    if kind == "club":
        club = name([rng.choice(lx.CITIES)], "ORG")
        return Phrase((determiner("el", "m", False), *club.tokens))
    if kind == "misc":
        event = rng.choice(lx.EVENTS)
        gender = "f" if event in ("Copa", "Feria") else "m"
        tail = [rng.choice(lx.SURNAMES)] if event == "Premio" else ["de", rng.choice(lx.CITIES)]
        return name([event, *tail], "MISC", gender)
    if kind in ("elmisc", "eluni"):
        named = entity(kind[2:], rng)
        return Phrase((determiner("el", named.gender, False), *named.tokens), named.gender)
    if kind in ("year", "amount"):
        form = rng.choice(lx.YEARS if kind == "year" else lx.AMOUNTS)
        return Phrase((Token(form, form, "NUM", "NumForm=Digit|NumType=Card"),), "m", True)
    if kind == "small":
        form = lx.NUMBER_WORDS[rng.choice(tuple(lx.NUMBER_WORDS))]
        return Phrase((Token(form, form, "NUM", "NumType=Card"),), "m", True)
    if kind in ("day", "month"):
        form = rng.choice(lx.DAYS if kind == "day" else lx.MONTHS)
        return Phrase((Token(form, form, "NOUN", "AdvType=Tim"),))
    raise KeyError(kind)


_DETERMINERS = {
    "el": (("el", "la"), ("los", "las")),
    "un": (("un", "una"), ("unos", "unas")),
    "su": (("su", "su"), ("sus", "sus")),
    "este": (("este", "esta"), ("estos", "estas")),
    "tu": (("tu", "tu"), ("tus", "tus")),
}
_PLURAL_OF_DETERMINER = {"los": "el", "unos": "un", "sus": "su", "estos": "este"}


def _agreement(gender: str, plural: bool) -> str:
    return f"Gender={'Fem' if gender == 'f' else 'Masc'}|Number={'Plur' if plural else 'Sing'}"


def determiner(lemma: str, gender: str, plural: bool) -> Token:
    form = _DETERMINERS[lemma][plural][gender == "f"]
    return Token(form, lemma, "DET", _agreement(gender, plural))


def noun_phrase(
    det: str, noun: lx.Noun, adj: lx.Adjective | None = None, number: str | None = None
) -> Phrase:
    """Determiner (or number word, or nothing for ``bare`` plural and ``nuda`` singular), noun and adjective."""
    plural = det in _PLURAL_OF_DETERMINER or det in ("num", "bare")
    tokens: list[Token] = []
    if number is not None:
        tokens.append(Token(number, number, "NUM", "NumType=Card"))
    elif det not in ("bare", "nuda"):
        tokens.append(determiner(_PLURAL_OF_DETERMINER.get(det, det), noun.gender, plural))
    form = noun.plural if plural else noun.singular
    tokens.append(Token(form, noun.singular, "NOUN", _agreement(noun.gender, plural)))
    if adj:
        tokens.append(Token(adj.form(noun.gender, plural), adj.lemma, "ADJ", _agreement(noun.gender, plural)))
    return Phrase(tuple(tokens), noun.gender, plural)


_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_NOUN_ITEM = re.compile(r"(el|un|su|tu|este|los|unos|sus|estos|num|bare|nuda):(\w+)(?:\+(\w+))?$")
_VERB_ITEM = re.compile(r"v:([^.]+)\.(\w+)$")
_ENTITIES = frozenset(
    re.split(
        " ", "per full first sur loc pais org brand uni eluni club misc elmisc year amount small day month"
    )
)


@cache
def _literal(word: str) -> Token:
    form, _, upos = word.partition("/")
    upos = upos or lx.LITERALS.get(form, "")
    if not upos:
        raise KeyError(f"the pattern word {form!r} has no part of speech: write it as {form}/UPOS")
    return Token(form, form, upos)


def _verb(lemma: str, tense: str, subject: Phrase) -> Token:
    upos = "AUX" if lemma in ("ser", "estar", "haber") else "VERB"
    form = conjugate(lemma, tense, subject.plural, subject.gender)
    return Token(form, lemma, upos, features(tense, subject.plural, subject.gender))


def realise(pattern: str, voice: Voice, **bound: Phrase) -> list[Token]:
    """Expand ``pattern`` into tokens; ``bound`` phrases replace ``$name`` items."""
    rng = voice.rng
    chosen = _CHOICE.sub(lambda match: rng.choice(match[1].split("|")), pattern)
    tokens: list[Token] = []
    subject, fixed = Phrase(()), False
    for item in chosen.split():
        phrase: Phrase | None = None
        if item == ">":
            subject, fixed = Phrase(()), False
            continue
        if item[0] == "@":
            subject, fixed = bound[item[1:]], True
            continue
        if item == ">>":
            subject = Phrase((), subject.gender, True)
            continue
        if item[0] == "$" and len(item) > 1:
            phrase = bound[item[1:]]
        elif item in _ENTITIES:
            phrase = voice.draw(item)
        elif match := _NOUN_ITEM.match(item):
            det, kind, adj = match.groups()
            number = rng.choice(tuple(lx.NUMBER_WORDS.values())) if det == "num" else None
            chosen_adj = rng.choice(lx.ADJECTIVES[adj]) if adj else None
            phrase = noun_phrase(det, rng.choice(lx.NOUNS[kind]), chosen_adj, number)
        elif match := _VERB_ITEM.match(item):
            tokens.append(_verb(rng.choice(match[1].split("|")), match[2], subject))
        elif item.startswith("adj:"):
            adj_word = rng.choice(lx.ADJECTIVES[item[4:]])
            form = adj_word.form(subject.gender, subject.plural)
            tokens.append(Token(form, adj_word.lemma, "ADJ", _agreement(subject.gender, subject.plural)))
        else:
            tokens.append(_literal(item))
        if phrase is not None:
            if not fixed and not (tokens and tokens[-1].upos == "ADP"):
                subject, fixed = phrase, True
            tokens.extend(phrase.tokens)
    return [
        replace(t, form="e") if t.form == "y" and after and re.match(r"h?i(?!e)", after.form.lower()) else t
        for t, after in zip(tokens, [*tokens[1:], None], strict=True)
    ]


def contracted(tokens: Sequence[Token]) -> list[tuple[str, tuple[Token, ...]]]:
    """Surface words, each with the syntactic words inside: *de el* -> (*del*, 2 tokens), *a el* -> (*al*, 2 tokens)."""
    words: list[tuple[str, tuple[Token, ...]]] = []
    i = 0
    while i < len(tokens):
        here = tokens[i]
        if here.form in ("de", "a") and here.upos == "ADP" and i + 1 < len(tokens):
            after = tokens[i + 1]
            if after.form == "el" and after.upos == "DET":
                words.append((here.form + "l" if here.form == "a" else "del", (here, after)))
                i += 2
                continue
        words.append((here.form, (here,)))
        i += 1
    return words


def capitalised(tokens: Sequence[Token]) -> list[Token]:
    """The tokens of a sentence, its first word with a capital."""
    result = list(tokens)
    for i, token in enumerate(result):
        if token.upos != "PUNCT":
            result[i] = replace(token, form=token.form[0].upper() + token.form[1:])
            break
    return result


NO_SPACE_BEFORE = frozenset(".,;:?!)…")
NO_SPACE_AFTER = frozenset("¿¡(—")


def spaced(words: Sequence[str]) -> list[bool]:
    """Whether a blank follows each word (quotation marks open and close by turns)."""
    result, quoted = [], False
    for i, word in enumerate(words):
        after = words[i + 1] if i + 1 < len(words) else ""
        if word == '"':
            quoted = not quoted
        blank = after not in NO_SPACE_BEFORE and word not in NO_SPACE_AFTER
        if (word == '"' and quoted) or (after == '"' and quoted):
            blank = False
        result.append(blank and bool(after))
    return result


def render(tokens: Sequence[Token], capital: bool = True) -> str:
    """Running text of a sentence."""
    surface = [w for w, _ in contracted(tokens)]
    text = "".join(w + " " * blank for w, blank in zip(surface, spaced(surface), strict=True))
    if capital:
        start = next((i for i, c in enumerate(text) if c.isalnum()), 0)
        text = text[:start] + text[start : start + 1].upper() + text[start + 1 :]
    return text


def say(pattern: str, voice: Voice, **bound: Phrase) -> str:
    """``realise`` and ``render`` in one."""
    return render(realise(pattern, voice, **bound))
