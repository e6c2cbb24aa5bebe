"""Tagged sentences as CoNLL-U (UD, 17 parts of speech) and CoNLL-2002 (``word POS tag``)."""

from __future__ import annotations

import random
from collections.abc import Sequence

from ligero.synthetic import domains
from ligero.synthetic.grammar import Token, Voice, capitalised, contracted, realise, spaced

POS_PATTERNS: tuple[tuple[str, ...], ...] = (
    *(domains.AMBIGUOUS_POS,) * 5,
    domains.TALES,
    domains.MANUALS,
    domains.TALK,
    domains.ENTITY_NEWS,
    tuple(p for patterns in domains.NEWS.values() for p in patterns),
)
NER_PATTERNS: tuple[tuple[str, ...], ...] = (domains.ENTITY_NEWS,) * 4 + (
    domains.NEWS["GCAT"],
    domains.NEUTRAL_NEWS,
)

# CoNLL-2002 has the EAGLES categories of the first two letters.
_EAGLES = {
    "NOUN": "NC", "PROPN": "NP", "ADJ": "AQ", "ADV": "RG", "ADP": "SP", "CCONJ": "CC", "SCONJ": "CS", "DET": "DA",
    "PRON": "PP", "NUM": "Z", "INTJ": "I", "PART": "RG", "SYM": "Zm", "X": "NC",
}  # fmt: skip
_EAGLES_PUNCTUATION = {
    ".": "Fp", ",": "Fc", ":": "Fd", ";": "Fx", "?": "Fit", "¿": "Fia", "!": "Fat", "¡": "Faa", "(": "Fpa", ")": "Fpt",
    '"': "Fe", "—": "Fg", "-": "Fg", "…": "Fs",
}  # fmt: skip


def draw_sentence(rng: random.Random, groups: Sequence[Sequence[str]]) -> list[Token]:
    """A sentence of one of the pattern groups, its first word with a capital."""
    return capitalised(realise(rng.choice(rng.choice(groups)), Voice(rng)))


def surface(tokens: Sequence[Token]) -> str:
    """The text of a sentence."""
    words = [w for w, _ in contracted(tokens)]
    return "".join(w + " " * blank for w, blank in zip(words, spaced(words), strict=True))


def attach(tokens: Sequence[Token]) -> list[tuple[int, str]]:
    """Heads (1-based, 0 for the root) and relations of a shallow but well-formed tree.

    Function words hang on the next noun or verb, everything else on the first verb or, without one, on the first
    word that is no punctuation.
    """
    verbs = [i for i, t in enumerate(tokens) if t.upos == "VERB"]
    auxiliaries = [i for i, t in enumerate(tokens) if t.upos == "AUX"]
    others = [i for i, t in enumerate(tokens) if t.upos not in ("PUNCT", "ADP", "DET")]
    root = (verbs or auxiliaries or others or [0])[0]
    nominal = ("NOUN", "PROPN", "PRON", "NUM", "X")
    result: list[tuple[int, str]] = []
    for i, token in enumerate(tokens):
        following = next((j for j in range(i + 1, len(tokens)) if tokens[j].upos in nominal), None)
        before = next((j for j in range(i - 1, -1, -1) if tokens[j].upos == "NOUN"), None)
        next_verb = next((j for j in verbs if j > i), None)
        previous = tokens[i - 1].upos if i else ""
        if i == root:
            result.append((0, "root"))
        elif token.upos == "PUNCT":
            result.append((root + 1, "punct"))
        elif token.upos in ("DET", "ADP") and following is not None:
            result.append((following + 1, "det" if token.upos == "DET" else "case"))
        elif token.upos == "NUM" and following is not None and following == i + 1:
            result.append((following + 1, "nummod"))
        elif token.upos == "ADJ" and before is not None and before == i - 1:
            result.append((before + 1, "amod"))
        elif token.upos == "PROPN" and previous == "PROPN":
            first = i
            while first and tokens[first - 1].upos == "PROPN":
                first -= 1
            result.append((first + 1, "flat"))
        elif token.upos in ("SCONJ", "AUX", "CCONJ") and next_verb is not None:
            result.append((next_verb + 1, {"SCONJ": "mark", "AUX": "aux", "CCONJ": "cc"}[token.upos]))
        elif token.upos in nominal:
            governed = any(t.upos == "ADP" for t in tokens[max(0, i - 2) : i])
            result.append((root + 1, "obl" if governed else "nsubj" if i < root else "obj"))
        else:
            relation = {"VERB": "conj", "ADV": "advmod", "INTJ": "discourse"}.get(token.upos, "dep")
            result.append((root + 1, relation))
    return result


def conllu(tokens: Sequence[Token], sent_id: str) -> str:
    """One sentence with its comments; *del* and *al* are ranges over two syntactic words."""
    lines = [f"# sent_id = {sent_id}", f"# text = {surface(tokens)}"]
    heads = attach(tokens)
    words = contracted(tokens)
    number = 1
    for (form, parts), blank in zip(words, spaced([w for w, _ in words]), strict=True):
        misc = "_" if blank or number + len(parts) > len(tokens) else "SpaceAfter=No"
        if len(parts) > 1:
            lines.append("\t".join((f"{number}-{number + len(parts) - 1}", form, *["_"] * 7, misc)))
            misc = "_"
        for part in parts:
            head, relation = heads[number - 1]
            lines.append(
                "\t".join(
                    (
                        str(number),
                        part.form,
                        part.lemma,
                        part.upos,
                        part.upos,
                        part.feats,
                        str(head),
                        relation,
                        "_",
                        misc,
                    )
                )
            )
            number += 1
    return "\n".join(lines) + "\n\n"


def _eagles(token: Token) -> str:
    if token.upos == "PUNCT":
        return _EAGLES_PUNCTUATION[token.form]
    if token.upos in ("VERB", "AUX"):
        kind = "VM" if token.upos == "VERB" else "VS" if token.lemma == "ser" else "VA"
        form = (
            "N"
            if "Inf" in token.feats
            else "G"
            if "Ger" in token.feats
            else "P"
            if "Part" in token.feats
            else "I"
        )
        return kind + form
    return _EAGLES[token.upos]


def conll2002(tokens: Sequence[Token]) -> str:
    """One sentence as ``word POS tag`` lines and a blank line."""
    lines = []
    for form, parts in contracted(tokens):
        tag = parts[0].ner
        lines.append(f"{form} {_eagles(parts[0])} {tag}")
    return "\n".join(lines) + "\n\n"
