"""A toy teacher, two vocabularies and a little text: what `objective: distil` needs."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import zstandard

from ligero.models.digests import write_weights_digest
from ligero.pretraining.records import StatesInfo
from ligero.pretraining.run import Prepared, prepare
from ligero.pretraining.state_caching import Sources, cache_states
from ligero.settings.jobs import PretrainingJob, StatesJob
from ligero.settings.tokenizers import Tokenizer
from ligero.tokenizers.encode_corpus import encode_corpus
from ligero.tokenizers.fast_tokenizer import FastTokenizer
from ligero.tokenizers.training import train_tokenizer
from tests.builders.pretraining import job

LESSON = {"model": "teacher", "dimensions": 6, "masked_weight": 0.1}


@dataclass(frozen=True)
class Toy:
    """Folders of the toy."""

    folder: Path
    sources: Sources

    @property
    def states(self) -> Path:
        return self.folder / "states"


def text(documents: int, seed: int) -> str:
    """Lines of Spanish syllables, capitals and marks, a blank line between documents."""
    generator = random.Random(seed)
    syllables = [a + b for a in "bcdlmnñprstM" for b in ("a", "e", "i", "ó", "u", "ar")]
    words = ["".join(random.Random(i).choices(syllables, k=1 + i % 3)) for i in range(60)]
    return "\n\n".join(
        "\n".join(
            " ".join(generator.choices(words, k=generator.randint(4, 9))) + generator.choice([".", "?", "!"])
            for _ in range(generator.randint(2, 5))
        )
        for _ in range(documents)
    )


def make_toy(folder: Path, documents: int = 60) -> Toy:
    """Text, its token store, an uncased student's tokenizer of one kind and a cased teacher with one of another."""
    from transformers import BertConfig, BertModel

    corpus, tokenizer, theirs, teacher = (folder / name for name in ("clean", "ours", "theirs", "teacher"))
    corpus.mkdir(parents=True)
    for seed, (split, number) in enumerate((("train", documents), ("validation", 8))):
        (corpus / f"{split}.txt.zst").write_bytes(zstandard.compress(text(number, seed).encode()))
    ours = Tokenizer(kind="wordpiece", vocabulary_size=120, lower_case=True)
    train_tokenizer(ours, corpus / "train.txt.zst", tokenizer)
    other = Tokenizer(kind="byte_level_bpe", vocabulary_size=290, lower_case=False)
    train_tokenizer(other, corpus / "train.txt.zst", theirs)
    encode_corpus(tokenizer, corpus, folder / "tokens")
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=290, hidden_size=12, num_hidden_layers=3, num_attention_heads=2, intermediate_size=24
    )
    model = BertModel(config, add_pooling_layer=False)
    torch.nn.init.normal_(model.embeddings.word_embeddings.weight)
    model.save_pretrained(teacher)
    write_weights_digest(teacher)
    return Toy(folder, Sources(corpus, folder / "tokens", tokenizer, teacher, theirs))


def states_job(**values: Any) -> StatesJob:
    defaults: dict[str, Any] = {
        "model_id": "toy",
        "teacher": "teacher",
        "layers": (1, 2),
        "dimensions": LESSON["dimensions"],
        "tokens": 10_000,
        "window": 24,
        "precision": "fp32",
        "seed": 42,
    }
    return StatesJob(**{**defaults, **values})


def cached(toy: Toy, out: Path | None = None, **values: Any) -> StatesInfo:
    """The teacher's states of the toy's text in a folder."""
    out = out or toy.states
    return cache_states(states_job(**values), toy.sources, out, out.parent / f"{out.name}-parts")


def distil_job(**values: Any) -> PretrainingJob:
    lesson = {**LESSON, **values.pop("teacher", {})}
    return job(**{"objective": "distil", "teacher": lesson, "optimizer": "adamw", **values})


def prepared(toy: Toy, **values: Any) -> Prepared:
    return prepare(distil_job(**values), toy.states, toy.sources.tokenizer)


def tokenizers(toy: Toy) -> tuple[FastTokenizer, FastTokenizer]:
    """The student's and the teacher's."""
    return FastTokenizer.load(toy.sources.tokenizer), FastTokenizer.load(toy.sources.teacher_tokenizer)
