"""Settings of the corpus: parts, cleaning, duplicates, validation share."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ligero.settings.base import Settings, SomeIds


class Cleaning(Settings):
    """Steps of cleaning, in the order in which they are applied to each line (thesis, training process of ALBETO)."""

    remove_urls: bool = True
    """Remove web addresses and e-mail addresses."""
    remove_listings: bool = True
    """Drop lines that are items of a listing (bullets, enumerations, menus)."""
    collapse_whitespace: bool = True
    """Turn runs of white space into one space and strip the ends."""
    lower_case: bool = True
    """Lower-case the text; off where one corpus also serves cased vocabularies, whose uncased siblings lower-case themselves."""
    minimum_characters: int = Field(0, ge=0)
    """Drop cleaned lines shorter than this; 0 keeps all that are not empty."""


class LanguageFilter(Settings):
    """Drops lines that are probably in another language, according to py3langid."""

    code: str = Field(pattern=r"^[a-z]{2,3}$")
    """Language to keep, e.g. es (ISO 639)."""
    minimum_probability: float = Field(0.2, gt=0.0, le=1.0)
    """A line is kept if it is in this language with at least this probability. The default is low, because Spanish text with many names looks like related languages."""
    minimum_characters: int = Field(40, ge=0)
    """Shorter lines are always kept: their language cannot be identified reliably."""


class NearDuplicates(Settings):
    """Drops near-duplicates of earlier documents (MinHash over runs of words)."""

    similarity: float = Field(0.8, ge=0.3, le=0.95)
    """Jaccard similarity of their runs of words from about which documents count as near-duplicates."""
    unit: Literal["document", "line"] = "document"
    """What is compared; lines where the corpus has no blank lines between documents."""
    shingle_words: int = Field(5, ge=1)
    """Words in a run."""
    memory_mb: int = Field(1024, ge=1)
    """Memory for documents already seen, in MB: at similarity 0.8, 1 GB holds six million; beyond that, the oldest are forgotten."""


class Corpus(Settings):
    """The raw text, and how it is cleaned."""

    parts: SomeIds
    """Ids of the sources that make up the corpus, in order."""
    cleaning: Cleaning = Cleaning()
    """What is done to each line."""
    language: LanguageFilter | None = None
    """Keep one language only; not part of the thesis' protocol."""
    near_duplicates: NearDuplicates | None = None
    """Drop near-duplicate documents; not part of the thesis' protocol."""
    deduplicate: Literal["none", "exact"] = "none"
    """Whether repeated lines are dropped across the whole corpus; not part of the thesis' protocol."""
    validation_share: float = Field(0.01, ge=0.0, lt=0.5)
    """Share of the documents held out from pretraining, for the validation loss."""
    seed: int = Field(42, ge=0)
    """Determines which documents are held out."""
