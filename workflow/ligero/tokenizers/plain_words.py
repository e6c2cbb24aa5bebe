"""What a tokenizer does to words of ordinary letters before its model sees them, found once by trying.

The normaliser and the pre-tokenizer of `tokenizers` take longer over a word than its model. For words of plain letters,
with punctuation at their ends, their work is known beforehand: each letter becomes the same string everywhere, and
punctuation is cut off or belongs to the word. Whatever a trial does not confirm is left to the library.
"""

from __future__ import annotations

import re
import string
from typing import NamedTuple

from tokenizers import Tokenizer

_LETTERS = string.ascii_letters + string.digits + "".join(map(chr, range(0xC0, 0x100)))
# Without signs that begin the name of a special token, and without those that vocabularies treat in pairs or before
# certain letters (``, '', 's).
_PUNCTUATION = "".join(sorted(set(string.punctuation) - set("<[`'"))) + "¿¡«»“”…–—"


class PlainWord(NamedTuple):
    """A word's three parts: punctuation as it is, then what the model is given for the letters, punctuation."""

    before: str
    letters: str
    after: str


class PlainWords:
    """Recognises plain words of a tokenizer and says what its model is given for them."""

    def __init__(self, backend: Tokenizer, prefix: str) -> None:
        """Try the characters one by one.

        Args:
            backend: the tokenizer; it has a pre-tokenizer.
            prefix: what precedes every word ("" or a space).
        """
        self._backend = backend
        self._start = self._cut(prefix + "aa")[0].removesuffix("aa")
        """The mark of a word's start that the pre-tokenizer sets ("", "Ġ" or "▁")."""
        forms = {sign: self._form(prefix, sign) for sign in _LETTERS + _PUNCTUATION}
        known = {sign: form for sign, form in forms.items() if form is not None}
        self._table = {ord(sign): form for sign, form in known.items() if form != sign}
        self._is_plain = re.compile(f"[{re.escape(''.join(known))}]+").fullmatch if known else None
        unmarked = self._cut("aa") == ["aa"]
        self._outside = "".join(
            sign for sign in _PUNCTUATION if unmarked and sign not in known and self._is_cut(prefix, sign)
        )
        self._unchanged = re.compile(
            f"[{re.escape(''.join(sign for sign, form in known.items() if form == sign)) or ' '}]+"
        ).fullmatch

    def parts(self, word: str) -> PlainWord | None:
        """The parts of a plain word; None for any other."""
        if self._is_plain is None:
            return None
        inside = word.strip(self._outside) if self._outside else word
        if not self._is_plain(inside):
            return None
        letters = inside.translate(self._table) if not self._unchanged(inside) else inside
        if len(inside) == len(word):
            return PlainWord("", self._start + letters, "")
        at = word.index(inside)
        before = word[:at]
        return PlainWord(before, letters if before else self._start + letters, word[at + len(inside) :])

    def _cut(self, text: str) -> list[str]:
        backend = self._backend
        normal = backend.normalizer.normalize_str(text) if backend.normalizer else text
        return [part for part, _ in backend.pre_tokenizer.pre_tokenize_str(normal)]

    def _form(self, prefix: str, sign: str) -> str | None:
        """What `sign` becomes inside a word; None where it is not simply one part of it."""
        start = self._start
        alone, inside = self._cut(prefix + sign), self._cut(f"{prefix}a{sign}a")
        if len(alone) != 1 or not alone[0].startswith(start):
            return None
        form = alone[0][len(start) :]
        twice = self._cut(f"{prefix}{sign}{sign}a{sign}")
        expected = [[f"{start}a{form}a"], [f"{start}{form}{form}a{form}"]]
        return form if form and [inside, twice] == expected else None

    def _is_cut(self, prefix: str, sign: str) -> bool:
        """Whether `sign` is cut off at both ends of a word, which then is as it would be without it."""
        before, after = self._cut(prefix + sign), self._cut(sign)
        return all(
            self._cut(f"{prefix}{sign}{word}{sign}") == [*before, *self._cut(word), *after]
            and self._cut(f"{prefix}{word}{sign}{sign}")
            == [*self._cut(prefix + word), *self._cut(sign + sign)]
            for word in ("s", "de", "re", "ll", "ñé", "9")
            if len(self._cut(word)) == 1
        )
