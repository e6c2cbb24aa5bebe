"""How many tokens examples have: counted by the tokenizer of a local model, or guessed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ligero.command.examples import texts_of, words_of
from ligero.common.errors import DataError
from ligero.tasks.examples import ClassificationExample, Example, TaggingExample

if TYPE_CHECKING:
    from tokenizers import Tokenizer

LENGTHS = (64, 128, 256, 512)
"""That `train` chooses from."""
PIECES_A_WORD = 2.5
"""Generous: small vocabularies cut Spanish words into two pieces on average. A length that is too large costs nothing."""
LETTERS_A_PIECE = 2
"""As generous, for what is no Spanish word: hashtags, addresses, emoji."""
MARKS = 3


@dataclass(frozen=True)
class Lengths:
    """Tokens of each example, with a model's marks.

    Attributes:
        model: folder of the model whose tokenizer counted them; None where they are guessed.
    """

    tokens: list[int]
    model: Path | None

    @classmethod
    def guessed(cls, examples: Iterable[Example]) -> Lengths:
        """Rather too many than too few, from words and letters."""
        return cls([_guess(example) for example in examples], None)

    @classmethod
    def counted(cls, examples: Iterable[Example], model: Path) -> Lengths:
        """As the tokenizer in a model's folder has it.

        Raises:
            DataError: there is no tokenizer.json, or it cannot be read.
        """
        tokenizer = _tokenizer(model)
        return cls([_count(tokenizer, example) for example in examples], model)


def _guess(example: Example) -> int:
    letters = sum(len("".join(text.split())) for text in texts_of(example))
    return math.ceil(max(PIECES_A_WORD * words_of(example), letters / LETTERS_A_PIECE)) + MARKS


def _tokenizer(folder: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if not path.is_file():
        raise DataError(
            path, None, "no such file.", "--model needs a checkpoint's folder with tokenizer.json."
        )
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception
        raise DataError(path, None, f"cannot be read: {error}.", "Copy the checkpoint again.") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _count(tokenizer: Tokenizer, example: Example) -> int:
    if isinstance(example, TaggingExample):
        return len(tokenizer.encode(list(example.words), is_pretokenized=True).ids)
    if isinstance(example, ClassificationExample):
        return len(tokenizer.encode(example.text, example.second_text).ids)
    return len(tokenizer.encode(example.question, example.context).ids)
