"""Settings of the tokenizers trained on the corpus."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from ligero.settings.base import Settings

CHARACTER_COVERAGE = 0.99995
"""Of Google's ALBERT recipe, which ALBETO follows."""


class Tokenizer(Settings):
    """A vocabulary trained on the corpus."""

    kind: Literal["sentencepiece_unigram", "wordpiece", "byte_level_bpe"]
    """Algorithm: ALBERT's, BERT's or RoBERTa's."""
    vocabulary_size: int = Field(31_000, ge=100)
    """Size with special tokens."""
    lower_case: bool = Field(True, validate_default=True)
    """Whether text is lower-cased by the tokenizer; accents and ñ are always kept. byte_level_bpe needs false."""
    character_coverage: float = Field(CHARACTER_COVERAGE, gt=0.9, le=1.0)
    """Share of characters that a sentencepiece_unigram vocabulary must cover; not used by the other kinds."""
    training_sentences: int = Field(10_000_000, ge=1)
    """Lines sampled from the corpus to train on."""
    seed: int = Field(42, ge=0)
    """Determines which lines are sampled."""

    @field_validator("lower_case")
    @classmethod
    def _kind_can_lower(cls, lower_case: bool, info: ValidationInfo) -> bool:
        if lower_case and info.data.get("kind") == "byte_level_bpe":
            raise ValueError(
                "kind byte_level_bpe keeps the case (RobertaTokenizer has no lower-casing); write lower_case: false"
            )
        return lower_case

    @field_validator("character_coverage")
    @classmethod
    def _kind_covers_characters(cls, coverage: float, info: ValidationInfo) -> float:
        kind = info.data.get("kind", "sentencepiece_unigram")
        if coverage != CHARACTER_COVERAGE and kind != "sentencepiece_unigram":
            raise ValueError(
                f"kind {kind} does not choose characters by their share; leave character_coverage out"
            )
        return coverage
