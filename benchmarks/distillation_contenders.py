"""What cached logits and length buckets are worth: each beside the usual way, in turns within one process.

Student: ALBETO tiny; teacher: BETO; random weights; sentences with the lengths of real text (log-normal, mean about 43 tokens).
Every contender runs the same student, loss, optimiser and batch size; rates count sentences, not padding.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ligero.distillation.alignment import align
from ligero.distillation.objective import DistillationObjective
from ligero.distillation.targets import CachedTargets
from ligero.distillation.token_layout import layout_of
from ligero.models.architectures import config_class, model_class
from ligero.settings.training import TrainingOptions
from ligero.training.batches import epoch_batches
from ligero.training.evaluate import predict
from ligero.training.features import EncodedSplit, Ints
from ligero.training.steps import StepRunner
from live_teacher import LiveTargets

COLUMNS = ("measure", "ours", "peer", "peer_name", "unit", "ratio", "aim")
BATCH, LABELS, VOCABULARY = 32, 3, 31_000
OPTIONS = TrainingOptions(bucket_by_length=True, max_length=512)
COMMON = {"vocab_size": VOCABULARY, "pad_token_id": 0, "num_labels": LABELS, "max_position_embeddings": 512}
STUDENT = {
    "hidden_size": 312,
    "embedding_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 12,
    "intermediate_size": 1248,
}


@dataclass
class Contender:
    """Something that is timed in turns: `turn(n)` works through some sentences and returns how many."""

    turn: Callable[[int], int]
    sentences: int = 0
    seconds: float = 0.0

    def run(self, number: int) -> None:
        started = time.perf_counter()
        done = self.turn(number)
        elapsed = time.perf_counter() - started
        self.sentences, self.seconds = self.sentences + done, self.seconds + elapsed

    @property
    def rate(self) -> float:
        """Sentences a second over all turns."""
        return self.sentences / self.seconds


def sentences(count: int, seed: int = 0) -> EncodedSplit:
    """Random token ids in sentences of 8 to 512 tokens, log-normal with mean about 43."""
    generator = np.random.default_rng(seed)
    lengths = np.clip(generator.lognormal(3.55, 0.65, count).astype(np.int64), 8, 512)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    none = np.zeros(0, np.int32)
    return EncodedSplit(
        task_type="sequence_classification",
        examples=np.arange(count, dtype=np.int32),
        offsets=offsets,
        input_ids=generator.integers(5, VOCABULARY, offsets[-1]).astype(np.int32),
        token_type_ids=np.zeros(offsets[-1], np.int8),
        label=generator.integers(0, LABELS, count).astype(np.int32),
        word_ids=none,
        word_labels=none,
        labels=none,
        start=none,
        end=none,
        start_position=none,
        end_position=none,
    )


def student() -> Any:
    torch.manual_seed(0)
    return model_class("albert", "sequence_classification")(config_class("albert")(**COMMON, **STUDENT))


def teacher() -> Any:
    torch.manual_seed(1)
    return model_class("bert", "sequence_classification")(config_class("bert")(**COMMON)).eval()


def measure(turns: int, batches_a_turn: int = 3) -> list[tuple[Any, ...]]:
    """Rows of the CSV; contenders take turns so that other load on the machine meets all alike."""
    split = sentences(50 * BATCH)
    layout = layout_of(split)
    alignment = align(layout, layout, "sequence_classification", True)
    logits = np.random.default_rng(2).normal(size=(len(split), LABELS)).astype(np.float32)
    cached, big = CachedTargets(alignment, logits), teacher()
    bucketed = sorted(
        epoch_batches(split.lengths, BATCH, 0, OPTIONS), key=lambda rows: split.lengths[rows].max()
    )
    plain = epoch_batches(split.lengths, BATCH, 0, OPTIONS.model_copy(update={"bucket_by_length": False}))
    wanted = turns * batches_a_turn
    # From the middle of equal parts of the sorted buckets, so that the sample has the epoch's mix of lengths.
    spaced = [bucketed[int((part + 0.5) * len(bucketed) / wanted)] for part in range(wanted)]
    spaced = [spaced[index] for index in np.random.default_rng(3).permutation(wanted)]
    contenders = {
        "cached": Contender(_steps(split, cached, spaced, batches_a_turn)),
        "live": Contender(
            _steps(split, LiveTargets(alignment, layout, split, big, 0), spaced, batches_a_turn)
        ),
        "dynamic": Contender(_transformers(split, logits, plain, batches_a_turn, "longest")),
        "padded": Contender(_transformers(split, logits, plain, 1, "max_length")),
        "caching": Contender(_caching(split, big)),
        "caching plain": Contender(_caching_plain(split, big)),
    }
    for contender in contenders.values():
        contender.turn(0)  # warm up
    for number in range(turns):
        for contender in contenders.values():
            contender.run(number)
    compared = [
        (
            "distillation step: cached logits over a live teacher",
            "cached",
            "live",
            "teacher (BETO) run at every step",
            5,
        ),
        (
            "training: length buckets over padding to 512",
            "cached",
            "padded",
            "DataCollatorWithPadding, max_length 512",
            15,
        ),
        (
            "training: length buckets over dynamic padding",
            "cached",
            "dynamic",
            "DataCollatorWithPadding, longest",
            2,
        ),
        (
            "caching logits (BETO): sorted by length over file order",
            "caching",
            "caching plain",
            "file order, longest",
            "",
        ),
    ]
    return [
        (
            name,
            *(round(contenders[key].rate, 2) for key in pair),
            peer,
            "sentences/s",
            _ratio(contenders, *pair),
            aim,
        )
        for name, *pair, peer, aim in compared
    ]


def _ratio(contenders: dict[str, Contender], ours: str, peer: str) -> float:
    return round(contenders[ours].rate / contenders[peer].rate, 2)


def _steps(split: EncodedSplit, targets: Any, batches: Sequence[Ints], count: int) -> Callable[[int], int]:
    """The trial loop's own steps."""
    objective = DistillationObjective(split.task_type, targets, alpha=0.0, temperature=1.0, kind="kl")
    runner = StepRunner(
        student().train(),
        objective,
        OPTIONS,
        rate=1e-4,
        batch_size=BATCH,
        total_steps=10_000,
        device=torch.device("cpu"),
    )

    def turn(number: int) -> int:
        chosen = batches[number * count : (number + 1) * count]
        for index, rows in enumerate(chosen):
            runner.step(split, rows, number * count + index)
        return sum(len(rows) for rows in chosen)

    return turn


def _transformers(
    split: EncodedSplit, logits: Any, batches: Sequence[Ints], count: int, padding: str
) -> Callable[[int], int]:
    """transformers' collator in a plain loop, cached logits gathered by row."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import DataCollatorWithPadding, PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel({"[PAD]": 0, "[UNK]": 1}, unk_token="[UNK]")), pad_token="[PAD]"
    )
    collate = DataCollatorWithPadding(tokenizer, padding=padding, max_length=512)
    model, targets = student().train(), torch.from_numpy(logits)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    rows_of = [
        split.input_ids[split.offsets[row] : split.offsets[row + 1]].tolist() for row in range(len(split))
    ]

    def turn(number: int) -> int:
        chosen = batches[number * count : (number + 1) * count]
        for rows in chosen:
            batch = collate(
                [{"input_ids": rows_of[row], "attention_mask": [1] * len(rows_of[row])} for row in rows]
            )
            student_log = model(**batch).logits.log_softmax(-1)
            loss = torch.nn.functional.kl_div(student_log, targets[rows].softmax(-1), reduction="batchmean")
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
        return sum(len(rows) for rows in chosen)

    return turn


def _caching(split: EncodedSplit, model: Any) -> Callable[[int], int]:
    """What cache_logits.py runs, on a part of the split."""
    from ligero.distillation.teacher_logits import features_between

    size = 2 * BATCH

    def turn(number: int) -> int:
        start = number * size % (len(split) - size)
        predict(model, features_between(split, start, start + size))
        return size

    return turn


def _caching_plain(split: EncodedSplit, model: Any) -> Callable[[int], int]:
    """Batches in the file's order, padded to their longest."""

    @torch.inference_mode()
    def turn(number: int) -> int:
        rows = np.arange(number * BATCH, (number + 1) * BATCH) % len(split)
        batch = split.batch(rows, 0)
        model(input_ids=batch.input_ids, attention_mask=batch.attention_mask)
        return len(rows)

    return turn
