"""What a pretrained model predicts for a mask, and how often it is right on held-out text.

Both go through transformers' plain path (AutoTokenizer, AutoModelForMaskedLM): they show what users of the folder get.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ligero.common.errors import DataError
from ligero.corpus.token_store import TokenStore, check_tokens
from ligero.models.digests import WEIGHTS_DIGEST, check_weights
from ligero.models.heads import longest_input
from ligero.pretraining.batches import BatchSource
from ligero.pretraining.vocabulary import Vocabulary
from ligero.settings.pretraining import Pretraining
from ligero.tokenizers.fast_tokenizer import INFO_FILE, TokenizerInfo

MASK = "[MASK]"


@dataclass(frozen=True)
class Candidate:
    """A subword for one mask."""

    mask: int
    """Number of the mask in the text, from 1 on."""
    token: str
    """As the vocabulary writes it: a mark shows whether it begins or continues a word."""
    probability: float
    text: str
    """The text with the subword in this mask's place."""


@dataclass(frozen=True)
class HeldOutAccuracy:
    """Shares of masked held-out tokens that are guessed right."""

    tokens: int
    """Number of masked tokens."""
    model: float
    unigram: float
    """Accuracy of always predicting the most frequent training token."""
    chance: float
    """Accuracy of drawing a token at random."""


class MaskFiller:
    """A pretrained model folder as transformers opens it.

    Raises:
        DataError: the folder holds no model, or its vocabulary has no mask.
    """

    def __init__(self, folder: Path | str) -> None:
        from transformers import AutoModelForMaskedLM, AutoTokenizer
        from transformers.utils import logging

        logging.set_verbosity_error()  # it would warn of pretraining heads that filling does not use
        logging.disable_progress_bar()
        self.folder = Path(folder)
        if not (self.folder / "config.json").is_file():
            raise DataError(self.folder, None, "no config.json: not a model folder.")
        if (self.folder / WEIGHTS_DIGEST).is_file():
            check_weights(self.folder)
        if (self.folder / INFO_FILE).is_file():
            TokenizerInfo.read(self.folder).check(self.folder)
        self.tokenizer: Any = AutoTokenizer.from_pretrained(self.folder)
        if self.tokenizer.mask_token_id is None:
            raise DataError(self.folder, None, "its vocabulary has no mask token.")
        self.model: Any = AutoModelForMaskedLM.from_pretrained(
            self.folder, use_safetensors=True, dtype=torch.float32
        ).eval()

    @torch.no_grad()
    def fill(self, text: str, top: int = 5) -> list[Candidate]:
        """The `top` most probable subwords for each [MASK] in `text`, masks in order.

        Raises:
            DataError: the text has no mask, or is longer than the model reads.
        """
        mask = self.tokenizer.mask_token
        text = text.replace(MASK, mask)
        inputs = self.tokenizer(text, return_tensors="pt")
        places = torch.nonzero(inputs["input_ids"][0] == self.tokenizer.mask_token_id).flatten().tolist()
        if not places:
            raise DataError("--text", None, f"no {MASK} in {text!r}.")
        length, most = inputs["input_ids"].shape[1], longest_input(self.model.config)
        if length > most:
            raise DataError("--text", None, f"{length} tokens, but the model reads {most}.")
        probabilities = self.model(**inputs).logits[0, places].softmax(-1)
        candidates = []
        parts = text.split(mask)
        for number, row in enumerate(probabilities):
            best = row.topk(min(top, len(row)))
            for probability, index in zip(best.values.tolist(), best.indices.tolist(), strict=True):
                token = self.tokenizer.convert_ids_to_tokens(index)
                word = self.tokenizer.decode([index]).strip()
                before, after = MASK.join(parts[: number + 1]), MASK.join(parts[number + 1 :])
                candidates.append(Candidate(number + 1, token, probability, f"{before}{word}{after}"))
        return candidates

    @torch.no_grad()
    def held_out_accuracy(self, tokens: Path, rows: int = 256, seed: int = 42) -> HeldOutAccuracy:
        """Accuracy on up to `rows` rows of the held-out split of a token store, 15 % masked (80 % [MASK], as in training).

        Raises:
            DataError: the store has no held-out text.
            MismatchError: the store is of another tokenizer.
        """
        train, held_out = TokenStore.open(tokens), TokenStore.open(tokens, "validation")
        vocabulary = Vocabulary.load(self.folder)
        vocabulary.check_made(train, tokens)
        check_tokens(tokens)
        length = min(512, longest_input(self.model.config), len(train))
        recipe = Pretraining(objective="mlm", total_steps=1, sequence_length=length, seed=seed)
        batch = BatchSource(train, vocabulary, recipe).validation(held_out, rows)
        if batch is None:
            raise DataError(tokens, None, "no held-out text.", "Raise corpus.validation_share.")
        right = 0
        for part in batch.micro_batches(8):
            logits = self.model(
                input_ids=part.input_ids, attention_mask=torch.ones_like(part.input_ids)
            ).logits
            guessed = logits.reshape(-1, logits.shape[-1])[part.positions].argmax(-1)
            right += int((guessed == part.labels).sum())
        most_frequent = int(np.bincount(train.tokens, minlength=vocabulary.size).argmax())
        count = len(batch.labels)
        return HeldOutAccuracy(
            tokens=count,
            model=right / count,
            unigram=int((batch.labels == most_frequent).sum()) / count,
            chance=1 / vocabulary.size,
        )
