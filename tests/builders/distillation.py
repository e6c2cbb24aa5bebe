"""Toy features in two vocabularies (words cut into pieces of 2 or 3 letters), and tiny models: no files, no downloads."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ligero.distillation.alignment import align
from ligero.distillation.objective import DistillationObjective
from ligero.distillation.records import LogitDigests, LogitsMeta
from ligero.distillation.targets import CachedTargets
from ligero.distillation.teacher_logits import entry_logits
from ligero.distillation.token_layout import layout_of
from ligero.models.architectures import config_class, model_class
from ligero.settings.plan import Trial
from ligero.settings.tasks import TaskType
from ligero.settings.training import TrainingOptions
from ligero.training.evaluate import predict
from ligero.training.features import IGNORED, EncodedSplit
from ligero.training.planned_trials import PlannedTrial
from ligero.training.task_data import Validation
from ligero.training.trial import run_trial
from live_teacher import LiveTargets

CLS, SEP, VOCABULARY = 1, 2, 64
LABELS = ("A", "B", "C")


@cache
def sentences(count: int, seed: int = 0, words: int = 8) -> list[list[str]]:
    generator = np.random.default_rng(seed)
    letters = list("abcdefgh")
    return [
        [
            "".join(generator.choice(letters, generator.integers(1, 7)))
            for _ in range(generator.integers(2, words + 1))
        ]
        for _ in range(count)
    ]


def pieces(word: str, size: int) -> list[str]:
    return [word[start : start + size] for start in range(0, len(word), size)]


def token_id(piece: str, first: bool) -> int:
    return 3 + (sum((ord(letter) - 96) * 11**i for i, letter in enumerate(piece)) * 2 + first) % (
        VOCABULARY - 3
    )


def label_of(word: str) -> int:
    return (ord(word[0]) + len(word)) % len(LABELS)


def toy_split(
    task_type: TaskType,
    size: int,
    count: int = 24,
    *,
    seed: int = 0,
    max_length: int = 64,
    stride: int = 4,
    words: int = 8,
) -> EncodedSplit:
    """`count` examples in the vocabulary of pieces of `size` letters; windows and truncation as the real encoder makes them."""
    rows: list[dict[str, Any]] = []
    for example, sentence in enumerate(sentences(count, seed, words)):
        rows += _ROWS[task_type](example, sentence, size, max_length, stride)
    return _split(task_type, rows)


def _tokens(sentence: list[str], size: int) -> list[tuple[int, int, int, int]]:
    """(id, word, start, end) of every piece of the sentence joined by blanks."""
    found, at = [], 0
    for number, word in enumerate(sentence):
        begin = at
        for piece in pieces(word, size):
            found.append((token_id(piece, begin == at), number, begin, begin + len(piece)))
            begin += len(piece)
        at += len(word) + 1
    return found


def _classification(
    example: int, sentence: list[str], size: int, max_length: int, stride: int
) -> list[dict[str, Any]]:
    tokens = _tokens(sentence, size)[: max_length - 2]
    return [{"example": example, "ids": [CLS, *(t[0] for t in tokens), SEP], "label": label_of(sentence[0])}]


def _tagging(
    example: int, sentence: list[str], size: int, max_length: int, stride: int
) -> list[dict[str, Any]]:
    tokens = _tokens(sentence, size)[: max_length - 2]
    words = [-1, *(t[1] for t in tokens), -1]
    return [
        {
            "example": example,
            "ids": [CLS, *(t[0] for t in tokens), SEP],
            "words": words,
            "word_labels": [label_of(sentence[w]) if w >= 0 else IGNORED for w in words],
        }
    ]


def _answering(
    example: int, sentence: list[str], size: int, max_length: int, stride: int
) -> list[dict[str, Any]]:
    tokens = _tokens(sentence, size)
    question = [token_id(sentence[-1][:1], True)]
    room, rows, begin = max_length - 3 - len(question), [], 0
    answer = len(sentence) // 2
    while True:
        window = tokens[begin : begin + room]
        lead = len(question) + 2
        inside = [lead + i for i, t in enumerate(window) if t[1] == answer]
        whole = inside and len(inside) == len(pieces(sentence[answer], size))
        rows.append(
            {
                "example": example,
                "ids": [CLS, *question, SEP, *(t[0] for t in window), SEP],
                "words": [-1] * lead + [t[1] for t in window] + [-1],
                "starts": [-1] * lead + [t[2] for t in window] + [-1],
                "ends": [-1] * lead + [t[3] for t in window] + [-1],
                "start": inside[0] if whole else 0,
                "end": inside[-1] if whole else 0,
            }
        )
        if begin + room >= len(tokens):
            return rows
        begin += room - stride


_ROWS = {
    "sequence_classification": _classification,
    "token_classification": _tagging,
    "question_answering": _answering,
}


def _split(task_type: TaskType, rows: list[dict[str, Any]]) -> EncodedSplit:
    def scalars(name: str) -> np.ndarray:
        return np.array([row[name] for row in rows if name in row], np.int32)

    def flat(name: str) -> np.ndarray:
        return np.array([value for row in rows for value in row.get(name, [])], np.int32)

    lengths = [len(row["ids"]) for row in rows]
    word_ids, word_labels = flat("words"), flat("word_labels")
    split = EncodedSplit(
        task_type=task_type,
        examples=scalars("example"),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        input_ids=flat("ids"),
        token_type_ids=np.zeros(sum(lengths), np.int8),
        label=scalars("label"),
        word_ids=word_ids,
        word_labels=word_labels,
        labels=word_labels,
        start=flat("starts"),
        end=flat("ends"),
        start_position=scalars("start"),
        end_position=scalars("end"),
    )
    if task_type == "token_classification":
        labels = np.where(split.opens_word, word_labels, IGNORED)
        split = EncodedSplit(**{**vars(split), "labels": labels})
    return split


def toy_model(task_type: TaskType, seed: int = 0, hidden: int = 16, layers: int = 1) -> Any:
    config = config_class("bert")(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=2 * hidden,
        max_position_embeddings=128,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=0,
        num_labels=2 if task_type == "question_answering" else len(LABELS),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = model_class("bert", task_type)(config)
    # Fresh heads are nearly silent: louder ones give teacher distributions that are worth matching.
    for name, parameter in model.named_parameters():
        if name.startswith(("classifier", "qa_outputs")) and name.endswith("weight"):
            parameter.data *= 20.0
    return model


def toy_meta(tokens: str = "t") -> LogitsMeta:
    """The record of the logits of a teacher on a task, which read these tokens."""
    depends_on = LogitDigests(weights="w", encoder="e", labels=[], examples="x", tokens=tokens)
    return LogitsMeta(task="toy", teacher="t", depends_on=depends_on, together={"t": 1.0})


def options(**values: Any) -> TrainingOptions:
    return TrainingOptions(**{"max_grad_norm": None, **values})


def targets_of(task_type: Any, size: int, mode: str, teacher: Any, **split: Any) -> tuple[Any, Any, Any]:
    """The student's split, and the cached and the live targets of a teacher whose pieces have 2 letters."""
    ours, theirs = toy_split(task_type, size, **split), toy_split(task_type, 2, **split)
    layout = layout_of(theirs)
    alignment = align(layout_of(ours), layout, task_type, size == 2, mode)  # type: ignore[arg-type]
    cached = CachedTargets(alignment, entry_logits(theirs, layout, predict(teacher, theirs)))
    return ours, cached, LiveTargets(alignment, layout, theirs, teacher, 0)


def curve(
    folder: Path,
    task_type: Any,
    split: Any,
    targets: Any,
    *,
    epochs: int = 2,
    make: Any = DistillationObjective,
    save: Any = lambda model, path: model.save_pretrained(path),
    **objective: Any,
) -> dict[str, Any]:
    settings = {"alpha": 0.0, "temperature": 1.0, "kind": "kl", **objective}
    trial = Trial(model="toy", task="toy", batch_size=8, epochs=epochs, learning_rate="1e-3", seed=1)
    return run_trial(
        PlannedTrial(trial, options(), folder, "x", patience=10),
        make(task_type, targets, **settings),
        load_model=lambda: toy_model(task_type, seed=5),
        save_model=save,
        train=split,
        validation=Validation(split, lambda predictions: 0.0),
        device=torch.device("cpu"),
    )
