"""transformers' own path to a pretrained ALBERT: Trainer and DataCollatorForLanguageModeling with their defaults."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import IterableDataset
from transformers import DataCollatorForLanguageModeling, Trainer, TrainerCallback, TrainingArguments
from transformers.models.bert.tokenization_bert import BertTokenizer

from ligero.corpus.token_store import TokenStore
from ligero.pretraining.vocabulary import Vocabulary
from pretraining_text import padded_rows


class Rows(IterableDataset[dict[str, Any]]):
    """An endless stream of padded rows."""

    def __init__(self, store: TokenStore, vocabulary: Vocabulary, length: int) -> None:
        self.make = lambda: padded_rows(store, vocabulary, length)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self.make()


class CountingCollator(DataCollatorForLanguageModeling):
    """transformers' collator; keeps how many real tokens each batch held."""

    def __call__(self, features: Any, return_tensors: str | None = None) -> dict[str, Tensor]:
        batch: dict[str, Tensor] = super().__call__(features, return_tensors)
        self.__dict__.setdefault("counts", deque()).append(int(batch["attention_mask"].sum()))
        return batch


class AfterEachStep(TrainerCallback):
    """Calls `function` at the end of each step with the step's real tokens; stops where it returns False."""

    def __init__(self, collator: CountingCollator, function: Callable[[int], bool]) -> None:
        self.collator, self.function = collator, function

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not self.function(self.collator.counts.popleft()):
            control.should_training_stop = True


def train(
    model: nn.Module,
    store: TokenStore,
    vocabulary: Vocabulary,
    tokenizer_folder: str,
    rows: int,
    length: int,
    device: torch.device,
    after_each_step: Callable[[int], bool],
    **arguments: Any,
) -> None:
    """Train until `after_each_step` says False; `arguments` are TrainingArguments that differ from the defaults."""
    collator = CountingCollator(BertTokenizer.from_pretrained(tokenizer_folder), mlm_probability=0.15)
    with tempfile.TemporaryDirectory() as folder:
        defaults: dict[str, Any] = {"max_steps": 10**6, "save_strategy": "no", "logging_strategy": "no"}
        settings = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=rows,
            use_cpu=device.type == "cpu",
            report_to="none",
            disable_tqdm=True,
            **(defaults | arguments),
        )
        Trainer(
            model=model,
            args=settings,
            data_collator=collator,
            train_dataset=Rows(store, vocabulary, length),
            callbacks=[AfterEachStep(collator, after_each_step)],
        ).train()


def share_of_padding(store: TokenStore, vocabulary: Vocabulary, length: int, rows: int = 2000) -> float:
    """Share of the places in the peer's rows that hold no token."""
    real = sum(sum(row["attention_mask"]) for row in islice(padded_rows(store, vocabulary, length), rows))
    return 1 - real / (rows * length)
