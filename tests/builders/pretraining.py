"""A tiny token store and recipe for the tests of pretraining."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ligero.common.hashing import digest_file
from ligero.corpus.token_store import SplitInfo, write_info
from ligero.models.weights import read_weights
from ligero.pretraining.distributed import DistributedContext
from ligero.pretraining.engine import Pretrainer
from ligero.pretraining.records import read_metrics
from ligero.pretraining.run import Prepared, prepare, pretrain
from ligero.settings.jobs import PretrainingJob
from ligero.settings.pretraining import Pretraining
from ligero.settings.tokenizers import Tokenizer
from ligero.tokenizers.fast_tokenizer import TokenizerInfo
from tests.builders.models import small_architecture

VOCABULARY = 50
STEPS = 10
"""Of the uninterrupted run that interrupted ones are compared with (the fixture `whole`)."""
TIMINGS = ("tokens_per_second", "share_of_peak")
Folders = tuple[Path, Path]
CPU = DistributedContext(torch.device("cpu"))


def write_store(folder: Path, seed: int = 0, documents: int = 40) -> tuple[Path, Path]:
    """A token store of counting text (each token is followed by the next one) and a vocabulary; their two folders."""
    generator = np.random.default_rng(seed)
    store, tokenizer = folder / "tokens", folder / "tokenizer"
    store.mkdir(parents=True)
    tokenizer.mkdir()
    for split, number in (("train", documents), ("validation", 6)):
        tokens: list[int] = []
        starts, lines = [], []
        for _ in range(number):
            starts.append(len(tokens))
            for _ in range(generator.integers(2, 5)):
                lines.append(len(tokens))
                first = int(generator.integers(0, 45))
                tokens += [5 + (first + step) % 45 for step in range(int(generator.integers(5, 12)))]
        np.array(tokens, dtype=np.uint16).tofile(store / f"{split}.bin")
        np.save(store / f"{split}.documents.npy", np.array([*starts, len(tokens)], dtype=np.uint64))
        np.save(store / f"{split}.segments.npy", np.array([*lines, len(tokens)], dtype=np.uint64))
    pieces = {f"{'##' if index % 3 == 0 else ''}w{index}": index for index in range(VOCABULARY)}
    (tokenizer / "fast_tokenizer.json").write_text(
        json.dumps({"model": {"type": "WordPiece", "vocab": pieces}})
    )
    special = {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4}
    TokenizerInfo("test", False, VOCABULARY, special, True, 0).write(tokenizer)
    record_store(store, tokenizer)
    return store, tokenizer


def record_store(store: Path, tokenizer: Path) -> None:
    """Write the store.json of the files that are in `store` now."""
    splits = {}
    for split in ("train", "validation"):
        documents, segments = (np.load(store / f"{split}.{name}.npy") for name in ("documents", "segments"))
        splits[split] = SplitInfo(int(documents[-1]), len(documents) - 1, len(segments) - 1)
    write_info(store, "<u2", digest_file(tokenizer / "tokenizer_info.json"), splits)


def recipe(**values: Any) -> Pretraining:
    """A recipe of a few tiny steps."""
    defaults: dict[str, Any] = {
        "learning_rate": "3e-3",
        "batch_size": 8,
        "micro_batch_size": 4,
        "warmup_steps": 2,
        "total_steps": 8,
        "sequence_length": 24,
        "short_sequence_probability": 0.2,
        "checkpoint_every": 3,
        "validate_every": 4,
        "log_every": 1,
    }
    return Pretraining(**{**defaults, **values})


def job(kind: str = "albert", dropout: float = 0.1, **values: Any) -> PretrainingJob:
    """A job that trains a tiny model of an architecture."""
    chosen = recipe(**{"objective": "mlm_sop" if kind == "albert" else "mlm", **values})
    embedding = 16 if kind == "albert" else None
    architecture = small_architecture(
        kind, 2, intermediate_size=32, embedding_size=embedding, dropout=dropout
    )
    tokenizer = Tokenizer(kind="wordpiece")
    return PretrainingJob(model_id="toy", architecture=architecture, recipe=chosen, tokenizer=tokenizer)


def prepared(folders: tuple[Path, Path], kind: str = "albert", **values: Any) -> Prepared:
    return prepare(job(kind, **values), *folders)


def train(folders: Folders, place: Path, kind: str = "albert", **values: Any) -> bool:
    run = prepared(folders, kind, **values)
    return pretrain(run, folders[1], place / "out", place / "log", place / "state", CPU)


def lines(place: Path) -> list[dict[str, Any]]:
    """Metrics without timings."""
    return [
        {name: value for name, value in line.items() if name not in TIMINGS}
        for line in read_metrics(place / "log" / "metrics.jsonl")
    ]


def same(one: Path, other: Path) -> bool:
    """Whether two runs wrote the same bits."""
    first, second = read_weights(one / "out"), read_weights(other / "out")
    return lines(one) == lines(other) and all(torch.equal(first[name], second[name]) for name in first)


def spoiled(monkeypatch: pytest.MonkeyPatch, bad: set[int], times: int) -> None:
    """Make the loss of the steps `bad` not a number, `times` times in all."""
    step, left = Pretrainer._step, [times]

    def spoiled(self: Pretrainer, number: int, batch: Any) -> Any:
        result = step(self, number, batch)
        if number in bad and left[0] and result is not None:
            left[0] -= 1
            result["loss"] = math.nan
        return result

    monkeypatch.setattr(Pretrainer, "_step", spoiled)


def spoiled_in_turn(monkeypatch: pytest.MonkeyPatch, bad: list[int]) -> None:
    """Make the loss of these steps not a number, each once and one after another."""
    step, left = Pretrainer._step, list(bad)

    def spoiled(self: Pretrainer, number: int, batch: Any) -> Any:
        result = step(self, number, batch)
        if left and number == left[0] and result is not None:
            left.pop(0)
            result["loss"] = math.nan
        return result

    monkeypatch.setattr(Pretrainer, "_step", spoiled)
