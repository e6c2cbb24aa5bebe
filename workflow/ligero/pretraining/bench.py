"""How fast pretraining is beside transformers' default path, and what it has learned after as many tokens.

The peer is what a user gets from transformers' parts: Trainer, AlbertForPreTraining with both losses,
DataCollatorForLanguageModeling, segment pairs padded to full length, fp32. Ours is added up in steps, so that each
one's share shows. Every contender is a process of its own, so that its memory can be told; they take turns. Tokens are
real ones, without padding.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ligero.common.memory import keep_freed_memory
from ligero.models.build import build_for_pretraining, make_config
from ligero.models.fast import use_fused_activations
from ligero.pretraining.batches import BatchSource
from ligero.pretraining.bench_text import padded_rows
from ligero.pretraining.objective import PretrainingObjective, make_objective
from ligero.pretraining.store import TokenStore
from ligero.pretraining.validation import unigram_loss, validate
from ligero.pretraining.vocabulary import Vocabulary
from ligero.settings.models import Architecture
from ligero.settings.training import Pretraining
from ligero.training.optimizers import make_optimizer, set_learning_rate
from ligero.training.schedules import linear_warmup_decay

PEER = "transformers default (Trainer, full head, padded, fp32)"
COLUMNS = ("measure", "ours", "peer", "peer_name", "unit", "ratio", "aim")
VOCABULARY = 31_000
SIZES = {
    "tiny": (Architecture(type="albert", hidden_size=312, num_hidden_layers=4, num_attention_heads=12,
                          intermediate_size=1248, embedding_size=128), 5.0),
    "base": (Architecture(type="albert", hidden_size=768, num_hidden_layers=12, num_attention_heads=12,
                          intermediate_size=3072, embedding_size=128), 3.0),
}  # fmt: skip
LEARNER = Architecture(type="albert", hidden_size=128, num_hidden_layers=2, num_attention_heads=4,
                       intermediate_size=512, embedding_size=64)  # fmt: skip
STEPS = {
    "peer": PEER,
    "masked": "masked positions only",
    "packed": "+ packed rows, one-kernel GELU",
    "bf16": "+ bf16",
    "ours": "+ fused projections, attention by row, loss in one pass, memory kept",
    "compiled": "packed, bf16, torch.compile",
}
"""Contenders, from the peer to all of ours; `compiled` only where asked for."""
WARMUP_SHARE, LEARNER_RATE = 0.1, 2e-3
Step = Callable[[], int]


def recipe_of(kind: str, rows: int, length: int, **values: Any) -> Pretraining:
    """The recipe of one of our contenders."""
    half = kind in ("bf16", "ours", "compiled")
    defaults = {"total_steps": 10**6, "batch_size": rows, "micro_batch_size": rows, "sequence_length": length}
    chosen = {
        "optimizer": "adamw",
        "short_sequence_probability": 0.0,
        "precision": "bf16" if half else "fp32",
    }
    paths = {"fused_kernels": kind == "ours", "compile": kind == "compiled"}
    return Pretraining(**{**defaults, **chosen, **paths, **values})


def run_turns(
    kind: str, size: str, folder: Path, rows: int, length: int, turn: Callable[[int], bool]
) -> None:
    """Train as contender `kind`; `turn` hears each step's real tokens and says whether to go on."""
    if kind == "ours":
        keep_freed_memory()
    vocabulary, store = Vocabulary.load(folder / "tokenizer"), TokenStore.open(folder / "tokens")
    model = build_for_pretraining(make_config(SIZES[size][0], VOCABULARY, vocabulary.pad)).train()
    if kind == "peer":
        from ligero.pretraining.bench_peer import train

        train(model, store, vocabulary, str(folder / "tokenizer"), rows, length, turn)
        return
    recipe = recipe_of(kind, rows, length)
    step = (
        _masked_only(model, store, vocabulary, rows, length)
        if kind == "masked"
        else our_step(model, BatchSource(store, vocabulary, recipe), recipe)
    )
    while turn(step()):
        pass


def _masked_only(model: Any, store: TokenStore, vocabulary: Vocabulary, rows: int, length: int) -> Step:
    """The peer's padded rows and model, with the vocabulary projection at the predicted tokens only."""
    objective = PretrainingObjective(model, fused=False)
    optimizer = make_optimizer(model, "adamw", 1e-5, 0.0)
    pairs = padded_rows(store, vocabulary, length)

    def step() -> int:
        batch = [next(pairs) for _ in range(rows)]
        names = ("input_ids", "attention_mask", "token_type_ids", "sentence_order_label")
        ids, mask, types, order = (torch.tensor([row[name] for row in batch]) for name in names)
        chosen = (torch.rand(ids.shape) < 0.15) & (ids > vocabulary.mask)
        positions = torch.nonzero(chosen.reshape(-1)).squeeze(-1)
        outputs = objective(ids, types, positions, ids.reshape(-1)[positions], order, mask)
        _update(outputs, len(positions), rows, model, optimizer)
        return int(mask.sum())

    return step


def our_step(model: Any, source: BatchSource, recipe: Pretraining, planned: int | None = None) -> Step:
    """One step of our path; with `planned` steps the learning rate warms up and decays."""
    objective: Any = make_objective(model, recipe)
    if recipe.compile:
        objective = torch.compile(objective)
    rate = float(recipe.learning_rate)
    optimizer = make_optimizer(model, recipe.optimizer, rate, recipe.weight_decay)
    number = 0

    def step() -> int:
        nonlocal number
        if planned:
            set_learning_rate(
                optimizer, rate * linear_warmup_decay(number, round(WARMUP_SHARE * planned), planned)
            )
        batch = source.batch(number)
        number += 1
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=recipe.precision == "bf16"):
            outputs = objective(
                batch.input_ids, batch.token_type_ids, batch.positions, batch.labels, batch.swapped
            )
        _update(outputs, len(batch.labels), len(batch), model, optimizer)
        return batch.tokens

    return step


def _update(
    outputs: tuple[Any, ...], predictions: int, rows: int, model: Any, optimizer: torch.optim.Optimizer
) -> None:
    (outputs[0] / predictions + outputs[2] / rows).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()


def serve(kind: str, size: str, folder: Path, rows: int, length: int) -> None:
    """Be a contender: a step for each line read, answered with its tokens and seconds and the peak memory in MB.

    With one thread the seconds are the processor's, which other work on the machine changes less than the clock's.
    """
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    answers, sys.stdout = sys.stdout, sys.stderr
    start = clock()

    def turn(tokens: int) -> bool:
        nonlocal start
        print(tokens, clock() - start, peak_memory(), file=answers, flush=True)
        more = bool(sys.stdin.readline().strip())
        start = clock()
        return more

    run_turns(kind, size, folder, rows, length, turn)


def peak_memory() -> float:
    """Peak memory of this process in MB. Not getrusage: its peak includes that of the process that forked this one."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024


def learn(kind: str, folder: Path, rows: int, length: int, tokens: int) -> dict[str, float]:
    """Train a small model on `tokens` real tokens as 'peer' or 'ours'; its loss on the same held-out text.

    Both start from the same weights, with AdamW, the same rate, warm-up and decay, and single tokens masked.
    """
    vocabulary, store = Vocabulary.load(folder / "tokenizer"), TokenStore.open(folder / "tokens")
    config = make_config(LEARNER, vocabulary.size, vocabulary.pad)
    model: Any = build_for_pretraining(config, embedding_initializer_range=0.1).train()
    rate = {"learning_rate": str(LEARNER_RATE), "max_ngram": 1, "weight_decay": 0.01}
    recipe = recipe_of(kind, rows, length, **rate)
    source = BatchSource(store, vocabulary, recipe)
    held_out = source.validation(TokenStore.open(folder / "tokens", "validation"), 256)
    assert held_out is not None
    done = steps = 0

    def turn(count: int) -> bool:
        nonlocal done, steps
        done, steps = done + count, steps + 1
        return done < tokens

    if kind == "peer":
        from ligero.pretraining.bench_peer import share_of_padding, train

        planned = round(tokens / (rows * length * (1 - share_of_padding(store, vocabulary, length))))
        options: dict[str, Any] = {"learning_rate": LEARNER_RATE, "weight_decay": 0.01, "adam_epsilon": 1e-6}
        warmup = round(WARMUP_SHARE * planned)
        options |= {"warmup_steps": warmup, "max_steps": planned, "lr_scheduler_type": "linear"}
        train(model, store, vocabulary, str(folder / "tokenizer"), rows, length, turn, **options)
    else:
        step = our_step(model, source, recipe, max(1, tokens // (rows * length)))
        while turn(step()):
            pass
    measured = validate(PretrainingObjective(use_fused_activations(model)), held_out, 64, torch.device("cpu"))
    plateau = unigram_loss(store, held_out.labels, vocabulary.size)
    return {**measured, "tokens": done, "steps": steps, "unigram_loss": plateau}
