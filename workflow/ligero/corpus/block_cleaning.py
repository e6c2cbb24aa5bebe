"""All that can be done to a block of raw text without knowing the others: what the processes of the corpus stage run."""

from __future__ import annotations

from dataclasses import dataclass

from ligero.corpus.deduplication import Hashes
from ligero.corpus.fast_cleaning import clean_block, count_clean
from ligero.corpus.language import drop_other_languages
from ligero.corpus.near_duplicates import band_hashes, units_of
from ligero.corpus.statistics import PartStatistics
from ligero.settings.corpus import Cleaning, LanguageFilter, NearDuplicates


@dataclass(frozen=True)
class Steps:
    """What is done to each block."""

    cleaning: Cleaning
    language: LanguageFilter | None = None
    near_duplicates: NearDuplicates | None = None


@dataclass(frozen=True)
class PreparedBlock:
    """A block that was cleaned and counted."""

    text: bytes
    statistics: PartStatistics
    bands: Hashes | None
    """Of each document (or line), where near-duplicates are looked for."""


def prepare_block(block: bytes, steps: Steps) -> PreparedBlock:
    """Clean a block, drop lines of other languages, and compute the hashes that near-duplicates share."""
    cleaned = clean_block(block, steps.cleaning)
    text, statistics = cleaned.text, cleaned.statistics
    if steps.language and text:
        text, statistics.dropped["language"] = drop_other_languages(text, steps.language)
        count_clean(statistics, text, steps.cleaning)
    bands = None
    if steps.near_duplicates:
        bands = band_hashes(units_of(text, steps.near_duplicates.unit), steps.near_duplicates)
    return PreparedBlock(text, statistics, bands)
