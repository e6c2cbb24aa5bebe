"""What cached logits and length buckets are worth: each beside the usual way, in turns within one process.

Student: ALBETO tiny; teacher: BETO; random weights; sentences with the lengths of real text (log-normal, mean about 43 tokens).
Every contender of a training runs the same student, loss, optimiser and batch size; rates count sentences, not padding.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from ligero.common.errors import MismatchError
from ligero.distillation.alignment import align
from ligero.distillation.objective import DistillationObjective
from ligero.distillation.targets import CachedTargets
from ligero.distillation.token_layout import layout_of
from ligero.efficiency.engines import EnergyMeter, in_turn
from ligero.export.parity import TOLERANCE
from ligero.models.architectures import config_class, model_class
from ligero.settings.training import TrainingOptions
from ligero.training.batches import epoch_batches
from ligero.training.evaluate import Floats, predict
from ligero.training.features import EncodedSplit, Ints
from ligero.training.steps import StepRunner
from live_teacher import LiveTargets

COLUMNS = ("measure", "ours", "peer", "peer_name", "unit", "ratio", "aim")
BATCH, LABELS, VOCABULARY = 32, 3, 31_000
EPOCH_BATCHES, SAMPLE = 50, 5
"""Batches of an epoch, and those that are trained on in a turn."""
CACHED_SENTENCES = 192
"""Sentences that are sorted together; cache_logits.py sorts parts of 262,144 tokens, some 6,000 sentences, which leave less padding."""
OPTIONS = TrainingOptions(bucket_by_length=True, max_length=512)
COMMON = {"vocab_size": VOCABULARY, "pad_token_id": 0, "num_labels": LABELS, "max_position_embeddings": 512}
STUDENT = {
    "hidden_size": 312,
    "embedding_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 12,
    "intermediate_size": 1248,
}


def drawn_lengths(count: int) -> Ints:
    """Tokens of sentences: 8 to 512, log-normal with mean about 43."""
    return np.clip(np.random.default_rng(0).lognormal(3.55, 0.65, count).astype(np.int64), 8, 512)


def sentences(lengths: Ints) -> EncodedSplit:
    """Random token ids in sentences of these lengths."""
    generator, count = np.random.default_rng(1), len(lengths)
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


def measure(turns: int) -> list[tuple[Any, ...]]:
    """Rows of the CSV: medians of turns, which contenders take one after the other, so that other load on the machine meets all alike.

    A contender does the same work in each of its turns.

    Raises:
        MismatchError: sorted or not, the teacher's logits must be the same.
    """
    split = sentences(drawn_lengths(EPOCH_BATCHES * BATCH))
    layout = layout_of(split)
    alignment = align(layout, layout, "sequence_classification", True)
    logits = np.random.default_rng(2).normal(size=(len(split), LABELS)).astype(np.float32)
    cached, big = CachedTargets(alignment, logits), teacher()
    bucketed = _sample(split.lengths, OPTIONS)
    plain = _sample(split.lengths, OPTIONS.model_copy(update={"bucket_by_length": False}))
    part = sentences(drawn_lengths(CACHED_SENTENCES))
    found: dict[str, Floats] = {}
    contenders: dict[str, tuple[int, Callable[[], object]]] = {
        "cached": (BATCH * SAMPLE, _steps(split, cached, bucketed)),
        "live": (BATCH * SAMPLE, _steps(split, LiveTargets(alignment, layout, split, big, 0), bucketed)),
        "dynamic": (BATCH * SAMPLE, _transformers(split, logits, plain, "longest")),
        "padded": (BATCH, _transformers(split, logits, plain[:1], "max_length")),
        "caching": (len(part), lambda: found.update(ours=predict(big, part).logits)),
        "caching plain": (len(part), lambda: found.update(peer=in_file_order(big, part))),
    }
    timings = in_turn({name: turn for name, (_, turn) in contenders.items()}, turns, EnergyMeter())
    one_thread = torch.get_num_threads() == 1
    rates = {
        name: contenders[name][0] / (timing.processor if one_thread else timing.seconds)
        for name, timing in timings.items()
    }
    refuse_other_logits(**found)
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
            f"caching logits (BETO) of {len(part)} sentences: sorted by length over file order",
            "caching",
            "caching plain",
            f"file order, {BATCH} a batch, longest",
            "",
        ),
    ]
    return [
        (
            name,
            *(round(rates[key], 2) for key in pair),
            peer,
            "sentences/s",
            round(rates[pair[0]] / rates[pair[1]], 2),
            aim,
        )
        for name, *pair, peer, aim in compared
    ]


def _sample(lengths: Ints, options: TrainingOptions) -> list[Ints]:
    """Some batches of an epoch with its mix of lengths: from the middle of equal parts of its batches, sorted by their longest sentence."""
    batches = sorted(epoch_batches(lengths, BATCH, 0, options), key=lambda rows: lengths[rows].max())
    return [batches[int((part + 0.5) * len(batches) / SAMPLE)] for part in range(SAMPLE)]


def refuse_other_logits(ours: Floats, peer: Floats) -> None:
    """Compare the logits of the same sentences.

    Raises:
        MismatchError: they differ by more than rounding.
    """
    if not np.allclose(ours, peer, rtol=0, atol=TOLERANCE):
        raise MismatchError(
            "caching logits: sorted by length and in file order the teacher says different things"
        )


def _steps(split: EncodedSplit, targets: Any, batches: Sequence[Ints]) -> Callable[[], None]:
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

    number = itertools.count()

    def turn() -> None:
        for rows in batches:
            runner.step(split, rows, next(number))

    return turn


def _transformers(
    split: EncodedSplit, logits: Any, batches: Sequence[Ints], padding: str
) -> Callable[[], None]:
    """transformers' collator in a plain loop, cached logits gathered by row."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import DataCollatorWithPadding, PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel({"[PAD]": 0, "[UNK]": 1}, unk_token="[UNK]")), pad_token="[PAD]"
    )
    collate = DataCollatorWithPadding(tokenizer, padding=padding, max_length=512)
    model, targets = student().train(), torch.from_numpy(logits)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)  # as ours
    rows_of = [
        split.input_ids[split.offsets[row] : split.offsets[row + 1]].tolist() for row in range(len(split))
    ]

    def turn() -> None:
        for rows in batches:
            batch = collate(
                [{"input_ids": rows_of[row], "attention_mask": [1] * len(rows_of[row])} for row in rows]
            )
            student_log = model(**batch).logits.log_softmax(-1)
            loss = torch.nn.functional.kl_div(student_log, targets[rows].softmax(-1), reduction="batchmean")
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()

    return turn


@torch.inference_mode()
def in_file_order(model: Any, split: EncodedSplit) -> Floats:
    """Logits of batches in the file's order, padded to their longest; `predict`, which cache_logits.py calls, sorts them by length."""
    found = []
    for start in range(0, len(split), BATCH):
        batch = split.batch(np.arange(start, min(start + BATCH, len(split))), 0)
        found.append(model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits.numpy())
    return np.concatenate(found)
