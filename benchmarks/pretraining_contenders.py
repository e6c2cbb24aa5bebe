"""How fast pretraining is beside transformers' default path, and what it has learned after as many tokens.

The peer is what a user gets from transformers' parts: Trainer, AlbertForPreTraining with both losses,
DataCollatorForLanguageModeling, segment pairs padded to full length, fp32. Ours is added up in steps, so that
the share of each is visible; but for the first of them, which only changes the loss of the peer's rows, they are steps of the engine that trains
models, with the peer's optimiser (AdamW). Every contender is a process of its own, so that its memory can be measured; they take
turns. Tokens are real ones, without padding.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from ligero.common.allocator import keep_freed_memory
from ligero.corpus.token_store import TokenStore
from ligero.models.build import build_for_pretraining, make_config
from ligero.models.fused_activations import use_fused_activations
from ligero.pretraining.batches import BatchSource
from ligero.pretraining.distributed import DistributedContext
from ligero.pretraining.engine import Pretrainer
from ligero.pretraining.mlm_objective import PretrainingObjective
from ligero.pretraining.speed import wait
from ligero.pretraining.validation import unigram_loss, validate
from ligero.pretraining.vocabulary import Vocabulary
from ligero.settings.models import Architecture
from ligero.settings.pretraining import Pretraining
from ligero.training.optimizers import make_optimizer
from pretraining_text import padded_rows

PEER = "transformers default (Trainer, full head, padded, fp32)"
COLUMNS = ("measure", "ours", "peer", "peer_name", "unit", "ratio", "aim")
VOCABULARY = 31_000


@dataclass(frozen=True)
class Size:
    """A model that is measured, rows per step on each kind of device, and the ratios that are aimed at on a CPU, by our precision."""

    architecture: Architecture
    rows: dict[str, int]
    aims: dict[str, float] = field(default_factory=dict)


def _albert(hidden: int, layers: int, heads: int, inner: int) -> Architecture:
    return Architecture(type="albert", hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
                        intermediate_size=inner, embedding_size=128)  # fmt: skip


SIZES = {
    "tiny": Size(_albert(312, 4, 12, 1248), {"cpu": 8, "cuda": 64}, {"fp32": 4.0, "bf16": 5.0}),
    "base": Size(_albert(768, 12, 12, 3072), {"cpu": 8, "cuda": 32}, {"fp32": 2.0, "bf16": 3.0}),
    "xxlarge": Size(_albert(4096, 12, 64, 16384), {"cuda": 8}),
}
"""Eight rows are what the Trainer takes by default; xxlarge is measured on a GPU only."""
LEARNER = Architecture(type="albert", hidden_size=128, num_hidden_layers=2, num_attention_heads=4,
                       intermediate_size=512, embedding_size=64)  # fmt: skip
STEPS = {
    "peer": PEER,
    "masked": "masked positions only",
    "packed": "+ packed rows, one-kernel GELU",
    "fp32": "+ fused kernels, last layer where it is read, memory kept",
    "bf16": "+ bf16",
    "compiled": "packed, bf16, torch.compile",
}
"""Contenders, from the peer to all of ours; `compiled` only where asked for."""
PRECISIONS = ("fp32", "bf16")
"""The contenders with all of ours; bf16 is measured where the processor multiplies faster in it. The faster one is `ours`."""
WARMUP_SHARE, LEARNER_RATE = 0.1, 2e-3
STEPS_A_TURN = {"cpu": 1, "cuda": 10}
UNCOUNTED = 4
"""First steps of a turn on a GPU: they take the memory that the others had meanwhile, and our batches were prepared before."""


def recipe_of(kind: str, rows: int, length: int, **values: Any) -> Pretraining:
    """The recipe of one of our contenders."""
    half = kind in ("bf16", "compiled")
    defaults = {"total_steps": 10**6, "batch_size": rows, "micro_batch_size": rows, "sequence_length": length}
    chosen = {
        "optimizer": "adamw",
        "short_sequence_probability": 0.0,
        "precision": "bf16" if half else "fp32",
    }
    paths = {"fused_kernels": kind in PRECISIONS, "compile": kind == "compiled"}
    return Pretraining(**{**defaults, **chosen, **paths, **values})


def run_turns(
    kind: str,
    size: str,
    folder: Path,
    rows: int,
    length: int,
    device: torch.device,
    turn: Callable[[int], bool],
) -> None:
    """Train as contender `kind`; `turn` hears each step's real tokens and says whether to go on."""
    if kind in PRECISIONS:
        keep_freed_memory()
    vocabulary, store = Vocabulary.load(folder / "tokenizer"), TokenStore.open(folder / "tokens")
    model = build_for_pretraining(make_config(SIZES[size].architecture, VOCABULARY, vocabulary.pad)).train()
    if kind == "peer":
        from pretraining_peer import train

        train(model, store, vocabulary, str(folder / "tokenizer"), rows, length, device, turn)
        return
    if kind == "masked":
        steps = _masked_only(model.to(device), store, vocabulary, rows, length, device)
    else:
        recipe = recipe_of(kind, rows, length)
        steps = our_steps(model, BatchSource(store, vocabulary, recipe), recipe, device)
    for tokens in steps:
        if not turn(tokens):
            break


def _masked_only(
    model: Any, store: TokenStore, vocabulary: Vocabulary, rows: int, length: int, device: torch.device
) -> Iterator[int]:
    """The peer's padded rows and model, with the vocabulary projection at the predicted tokens only."""
    objective = PretrainingObjective(model, fused=False)
    optimizer = make_optimizer(model, "adamw", 1e-5, 0.0)
    pairs = padded_rows(store, vocabulary, length)

    while True:
        batch = [next(pairs) for _ in range(rows)]
        names = ("input_ids", "attention_mask", "token_type_ids", "sentence_order_label")
        ids, mask, types, order = (
            torch.tensor([row[name] for row in batch], device=device) for name in names
        )
        chosen = (torch.rand(ids.shape, device=device) < 0.15) & (ids > vocabulary.mask)
        positions = torch.nonzero(chosen.reshape(-1)).squeeze(-1)
        outputs = objective(ids, types, positions, ids.reshape(-1)[positions], order, mask)
        (outputs[0] / len(positions) + outputs[2] / rows).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        yield int(mask.sum())


def our_steps(model: Any, source: BatchSource, recipe: Pretraining, device: torch.device) -> Iterator[int]:
    """Steps of the engine one after another: the tokens of each."""
    with TemporaryDirectory() as folder:
        trainer = Pretrainer(model, recipe, source, None, Path(folder), DistributedContext(device))
        yield from trainer.measured_steps()


def serve(kind: str, size: str, folder: Path, rows: int, length: int, device: torch.device) -> None:
    """Be a contender: a turn for each line read, answered with its tokens and seconds and the peak memory in MiB.

    A turn is a step, on a GPU several after some that are not counted. With one thread the seconds are the processor's, which other
    work on the machine changes less than the clock's.
    """
    on_cpu = device.type == "cpu"
    clock = time.process_time if on_cpu and torch.get_num_threads() == 1 else time.perf_counter
    answers, sys.stdout = sys.stdout, sys.stderr
    start, counted, steps = clock(), 0, 0

    def turn(tokens: int) -> bool:
        nonlocal start, counted, steps
        steps += 1
        if not on_cpu and steps <= UNCOUNTED:
            wait(device)
            start = clock()
            return True
        counted += tokens
        if not on_cpu and steps < UNCOUNTED + STEPS_A_TURN[device.type]:
            return True
        wait(device)
        print(counted, clock() - start, peak_memory(device), file=answers, flush=True)
        if not on_cpu:
            torch.cuda.empty_cache()
        more = bool(sys.stdin.readline().strip())
        start, counted, steps = clock(), 0, 0
        return more

    run_turns(kind, size, folder, rows, length, device, turn)


def peak_memory(device: torch.device) -> float:
    """Peak memory in MiB: of this process, or on a GPU of its tensors there.

    Not getrusage: its peak includes that of the process that forked this one.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024


def learn(
    kind: str, folder: Path, rows: int, length: int, tokens: int, device: torch.device
) -> dict[str, float]:
    """Train a small model on `tokens` real tokens as contender `kind`; its loss on the same held-out text.

    Both start from the same weights, with AdamW, the same rate, warm-up and decay, and single tokens masked.
    """
    vocabulary, store = Vocabulary.load(folder / "tokenizer"), TokenStore.open(folder / "tokens")
    config = make_config(LEARNER, vocabulary.size, vocabulary.pad)
    model: Any = build_for_pretraining(config, embedding_initializer_range=0.1).train()
    planned = max(2, tokens // (rows * length))
    recipe = recipe_of(
        kind, rows, length, learning_rate=str(LEARNER_RATE), max_ngram=1, weight_decay=0.01,
        total_steps=planned, warmup_steps=round(WARMUP_SHARE * planned),
    )  # fmt: skip
    source = BatchSource(store, vocabulary, recipe)
    held_out = source.validation(TokenStore.open(folder / "tokens", "validation"), 256)
    assert held_out is not None
    done = steps = 0

    def turn(count: int) -> bool:
        nonlocal done, steps
        done, steps = done + count, steps + 1
        return done < tokens

    if kind == "peer":
        from pretraining_peer import share_of_padding, train

        planned = round(tokens / (rows * length * (1 - share_of_padding(store, vocabulary, length))))
        options: dict[str, Any] = {"learning_rate": LEARNER_RATE, "weight_decay": 0.01, "adam_epsilon": 1e-6}
        warmup = round(WARMUP_SHARE * planned)
        options |= {"warmup_steps": warmup, "max_steps": planned, "lr_scheduler_type": "linear"}
        train(model, store, vocabulary, str(folder / "tokenizer"), rows, length, device, turn, **options)
    else:
        for count in our_steps(model, source, recipe, device):
            if not turn(count):
                break
    measured = validate(PretrainingObjective(use_fused_activations(model)), held_out, 64, device)
    plateau = unigram_loss(store, held_out.labels, vocabulary.size)
    return {**measured, "tokens": done, "steps": steps, "unigram_loss": plateau}
