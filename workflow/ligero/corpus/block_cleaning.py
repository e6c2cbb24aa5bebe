"""All that can be done to a block of raw text without knowing the others: what the processes of the corpus stage run."""

from __future__ import annotations

from dataclasses import dataclass

from ligero.corpus.exact_duplicates import Hashes
from ligero.corpus.fast_cleaning import clean_block, count_clean
from ligero.corpus.language import drop_other_languages
from ligero.corpus.near_duplicates import band_hashes, units_of
from ligero.corpus.statistics import PartStatistics
from ligero.settings.corpus import Corpus


@dataclass(frozen=True)
class PreparedBlock:
    """A block that was cleaned and counted."""

    text: bytes
    statistics: PartStatistics
    bands: Hashes | None
    """Of each document (or line), where near-duplicates are looked for."""


def prepare_block(block: bytes, settings: Corpus) -> PreparedBlock:
    """Clean a block, drop lines of other languages, and compute the hashes that near-duplicates share."""
    cleaned = clean_block(block, settings.cleaning)
    text, statistics = cleaned.text, cleaned.statistics
    if settings.language and text:
        text, statistics.dropped["language"] = drop_other_languages(text, settings.language)
        count_clean(statistics, text, settings.cleaning)
    bands = None
    if settings.near_duplicates:
        bands = band_hashes(units_of(text, settings.near_duplicates.unit), settings.near_duplicates)
    return PreparedBlock(text, statistics, bands)
