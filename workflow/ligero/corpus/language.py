"""Lines of other languages, detected by py3langid: a naive Bayes classifier over byte n-grams whose model comes with it."""

from __future__ import annotations

from functools import cache
from typing import Any

from ligero.common.errors import ConfigurationError
from ligero.settings.corpus import LanguageFilter


@cache
def _identifier() -> Any:
    """The classifier of this process, with probabilities (Lui and Baldwin 2012, langid.py; here its fork py3langid)."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def check_language(wanted: LanguageFilter) -> None:
    """Refuse a language that the classifier does not know.

    Raises:
        ConfigurationError: with the codes that it knows.
    """
    known = sorted(set(_identifier().nb_classes))
    if wanted.code not in known:
        raise ConfigurationError(
            f"corpus.language.code: no language '{wanted.code}'; known: {', '.join(known)}"
        )


def probability(line: str, code: str) -> float:
    """Probability that a line is in the language of that code."""
    return float(dict(_identifier().rank(line)).get(code, 0.0))


def in_language(line: str, wanted: LanguageFilter) -> bool:
    """Whether a line is kept; short ones always are, since n-grams tell little about them."""
    if len(line) < wanted.minimum_characters:
        return True
    return probability(line, wanted.code) >= wanted.minimum_probability


def drop_other_languages(text: bytes, wanted: LanguageFilter) -> tuple[bytes, int]:
    """Clean text without the lines of other languages, and how many these were; emptied documents vanish."""
    documents = [document.split("\n") for document in text.decode("utf-8").strip("\n").split("\n\n")]
    kept = [[line for line in document if line and in_language(line, wanted)] for document in documents]
    dropped = sum(bool(line) for document in documents for line in document) - sum(map(len, kept))
    clean = "\n".join("".join(line + "\n" for line in document) for document in kept if document)
    return clean.encode("utf-8"), dropped
