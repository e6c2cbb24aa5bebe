"""How fast pretraining is beside transformers' default path, both interleaved in one process.

The peer is what a user gets from transformers' examples: Trainer, AlbertForPreTraining with the loss over all tokens,
DataCollatorForLanguageModeling, one padded pair of lines a row, fp32. Ours is added up in steps, so that each one's
share shows. Tokens are real ones, without padding.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ligero.models.build import build_for_pretraining, make_config
from ligero.models.fast import use_fused_activations
from ligero.pretraining.batches import BatchSource, PretrainingBatch
from ligero.pretraining.objective import PretrainingObjective
from ligero.pretraining.store import TokenStore
from ligero.pretraining.vocabulary import Vocabulary
from ligero.settings.models import Architecture
from ligero.settings.training import Pretraining
from ligero.training.optimizers import make_optimizer

PEER = "transformers default (full head, padded, fp32)"
COLUMNS = ("measure", "ours", "peer", "peer_name", "unit", "ratio", "aim")
SIZES = {
    "tiny": (Architecture(type="albert", hidden_size=312, num_hidden_layers=4, num_attention_heads=12,
                          intermediate_size=1248, embedding_size=128), 5.0),
    "base": (Architecture(type="albert", hidden_size=768, num_hidden_layers=12, num_attention_heads=12,
                          intermediate_size=3072, embedding_size=128), 3.0),
}  # fmt: skip


@dataclass
class Contender:
    """One way to train: `step` trains on one micro batch and returns how many real tokens it held."""

    name: str
    step: Callable[[], int]


def synthetic_store(vocabulary_size: int, seed: int = 0, documents: int = 400) -> TokenStore:
    """Random ids in documents of lines whose lengths vary as those of text do (log-normal, median 25 tokens)."""
    generator = np.random.default_rng(seed)
    lines = np.clip(generator.lognormal(3.2, 0.7, size=documents * 20).astype(np.int64), 3, 400)
    ends = np.concatenate([[0], np.cumsum(lines)]).astype(np.uint64)
    tokens = generator.integers(5, vocabulary_size, int(ends[-1])).astype(np.uint16)
    return TokenStore(tokens, ends[::20], ends, {})


def document_rows(store: TokenStore, length: int) -> Iterator[tuple[Any, Any]]:
    """Segment pairs as Google's and transformers' scripts pack them: whole lines of one document up to `length`."""
    while True:
        for first, last in zip(store.documents[:-1], store.documents[1:], strict=True):
            inside = store.segments[(store.segments >= first) & (store.segments <= last)].astype(np.int64)
            start = 0
            while start < len(inside) - 1:
                end = int(np.searchsorted(inside, inside[start] + length - 3, side="right")) - 1
                end = max(end, start + 1)
                middle = inside[(start + end + 1) // 2]
                stop = min(inside[end], inside[start] + length - 3)
                yield store.tokens[inside[start] : middle], store.tokens[middle:stop]
                start = end


def peer(
    architecture: Architecture, length: int, rows: int, store: TokenStore, vocabulary_size: int
) -> Contender:
    """transformers' path: rows padded to `length`, random masking of single tokens, the loss over every token."""
    config = make_config(architecture, vocabulary_size)
    model: Any = build_for_pretraining(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    pairs = document_rows(store, length)

    def step() -> int:
        ids = torch.zeros(rows, length, dtype=torch.long)
        types, mask = torch.zeros_like(ids), torch.zeros_like(ids)
        for row in range(rows):
            first, second = next(pairs)
            content = np.concatenate([[2], first, [3], second, [3]])[:length]
            ids[row, : len(content)] = torch.from_numpy(content.astype(np.int64))
            types[row, len(first) + 2 : len(content)] = 1
            mask[row, : len(content)] = 1
        labels = ids.clone()
        chosen = (torch.rand(ids.shape) < 0.15) & (ids > 4)
        labels[~chosen] = -100
        ids[chosen & (torch.rand(ids.shape) < 0.8)] = 4
        order = torch.randint(0, 2, (rows,))
        loss = model(
            input_ids=ids,
            attention_mask=mask,
            token_type_ids=types,
            labels=labels,
            sentence_order_label=order,
        ).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return int(mask.sum())

    return Contender(PEER, step)


def masked_head_only(
    architecture: Architecture, length: int, rows: int, store: TokenStore, vocabulary_size: int
) -> Contender:
    """The peer's padded rows, with the vocabulary projection at the predicted tokens only."""
    model: nn.Module = build_for_pretraining(make_config(architecture, vocabulary_size)).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    objective = PretrainingObjective(model)
    pairs = document_rows(store, length)

    def step() -> int:
        ids, mask = torch.zeros(rows, length, dtype=torch.long), torch.zeros(rows, length, dtype=torch.long)
        for row in range(rows):
            first, second = next(pairs)
            content = np.concatenate([[2], first, [3], second, [3]])[:length]
            ids[row, : len(content)] = torch.from_numpy(content.astype(np.int64))
            mask[row, : len(content)] = 1
        positions = torch.nonzero(((torch.rand(ids.shape) < 0.15) & (ids > 4)).reshape(-1)).squeeze(-1)
        labels = ids.reshape(-1)[positions]
        outputs = objective(
            ids, torch.zeros_like(ids), positions, labels, torch.zeros(rows, dtype=torch.long), mask
        )
        _update(outputs, len(labels), rows, model, optimizer)
        return int(mask.sum())

    return Contender("masked positions only", step)


def ours(
    architecture: Architecture,
    recipe: Pretraining,
    store: TokenStore,
    vocabulary_size: int,
    fused_gelu: bool = True,
) -> Contender:
    """The engine's path by `recipe`: packed rows, head at predicted tokens, fused optimiser, bf16 as the recipe says."""
    model = build_for_pretraining(make_config(architecture, vocabulary_size)).train()
    if fused_gelu:
        model = use_fused_activations(model)
    objective = PretrainingObjective(model)
    optimizer = make_optimizer(model, recipe.optimizer, 1e-5, recipe.weight_decay)
    vocabulary = Vocabulary(vocabulary_size, 2, 3, 0, 4, np.arange(5, vocabulary_size))
    source, number = BatchSource(store, vocabulary, recipe), [0]

    def step() -> int:
        batch: PretrainingBatch = source.batch(number[0])
        number[0] += 1
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=recipe.precision == "bf16"):
            outputs = objective(
                batch.input_ids, batch.token_type_ids, batch.positions, batch.labels, batch.swapped
            )
        _update(outputs, len(batch.labels), len(batch), model, optimizer)
        return batch.tokens

    return Contender(f"packed, {recipe.precision}" + (", one-kernel GELU" if fused_gelu else ""), step)


def _update(
    outputs: tuple[Tensor, ...],
    predictions: int,
    rows: int,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
) -> None:
    (outputs[0] / predictions + outputs[2] / rows).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()


def interleaved(contenders: list[Contender], rounds: int) -> list[float]:
    """Tokens a second of each, the median over `rounds` in which they take turns; one round before warms up."""
    speeds: list[list[float]] = [[] for _ in contenders]
    for turn in range(rounds + 1):
        for place, contender in enumerate(contenders):
            start = time.perf_counter()
            tokens = contender.step()
            if turn:
                speeds[place].append(tokens / (time.perf_counter() - start))
    return [statistics.median(values) for values in speeds]


def measure(
    size: str, length: int, rows: int, rounds: int, vocabulary_size: int = 31_000
) -> list[tuple[Any, ...]]:
    """Rows of results/bench/pretraining.csv for one size: each step's tokens/s beside the peer's."""
    architecture, aim = SIZES[size]
    store = synthetic_store(vocabulary_size)
    recipe = Pretraining(
        total_steps=10**6, batch_size=rows, micro_batch_size=rows, sequence_length=length, optimizer="adamw",
        short_sequence_probability=0.0,
    )  # fmt: skip
    half = recipe.model_copy(update={"precision": "bf16"})
    contenders = [
        peer(architecture, length, rows, store, vocabulary_size),
        masked_head_only(architecture, length, rows, store, vocabulary_size),
        ours(architecture, recipe, store, vocabulary_size, fused_gelu=False),
        ours(architecture, recipe, store, vocabulary_size),
        ours(architecture, half, store, vocabulary_size),
    ]
    speeds = interleaved(contenders, rounds)
    return [
        (
            f"ALBETO {size}, {length} tokens: {contender.name}",
            round(speed, 1),
            round(speeds[0], 1),
            PEER,
            "real tokens/s",
            round(speed / speeds[0], 2),
            aim if place == len(speeds) - 2 else "",
        )
        for place, (contender, speed) in enumerate(zip(contenders[1:], speeds[1:], strict=True))
    ]


def peak_memory(kind: str, size: str, length: int, rows: int, vocabulary_size: int = 31_000) -> float:
    """Peak memory of this process in MB after two steps of `kind` ('ours' or 'peer'); run it in a fresh process."""
    architecture, _ = SIZES[size]
    store = synthetic_store(vocabulary_size)
    recipe = Pretraining(
        total_steps=10**6, batch_size=rows, micro_batch_size=rows, sequence_length=length, optimizer="adamw",
        short_sequence_probability=0.0, precision="bf16",
    )  # fmt: skip
    contender = (
        ours(architecture, recipe, store, vocabulary_size)
        if kind == "ours"
        else peer(architecture, length, rows, store, vocabulary_size)
    )
    for _ in range(2):
        contender.step()
    # Not getrusage: its peak includes that of the process this one was forked from.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024
