"""A tokenizer whose tokens are letters, and tasks prepared and encoded with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers, processors

from ligero.common.records import digests_of, write_record
from ligero.settings.jobs import EncodingJob, TaskSpec
from ligero.settings.tasks import TaskType
from ligero.tasks.encoding import encode_task
from ligero.tasks.examples import (
    TaggingExample,
    digest_examples,
    write_examples,
)
from ligero.tokenizers.fast_tokenizer import FastTokenizer, TokenizerInfo

SPECIALS = {"cls": 0, "sep": 1, "pad": 2, "unk": 3, "mask": 4}


def encoder(style: str = "bert") -> FastTokenizer:
    """Every letter of a word is a token of its own, `##` inside words."""
    letters = "abcdefghijklmnopqrstuvwxyzáéíóúñ¿?.,"
    names = ["[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    vocabulary = {name: number for number, name in enumerate(names)}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))  # type: ignore[call-arg]
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    if style == "bert":
        backend.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B:1 [SEP]:1",
            special_tokens=[("[CLS]", 0), ("[SEP]", 1)],
        )
    else:
        backend.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] [SEP] $B [SEP]",
            special_tokens=[("[CLS]", 0), ("[SEP]", 1)],
        )
    return FastTokenizer(
        backend, TokenizerInfo("test", False, backend.get_vocab_size(), SPECIALS, style == "bert", 0)
    )


def job(task_type: str, max_length: int = 32, doc_stride: int = 4) -> EncodingJob:
    return EncodingJob(task_id="t", task_type=task_type, max_length=max_length, doc_stride=doc_stride)


LABELS = ("O", "B-X", "I-X")


def task(kind: TaskType) -> TaskSpec:
    metric, labels = {
        "sequence_classification": ("accuracy", LABELS),
        "token_classification": ("seqeval_f1", LABELS),
        "question_answering": ("squad_f1", ()),
    }[kind]
    return TaskSpec(type=kind, labels=labels, metric=metric)


def prepared(folder: Path, kind: str, examples: list[Any]) -> Path:
    """`R/tasks/t` with the same examples in every split."""
    for split in ("train", "validation", "test"):
        write_examples(folder / "t" / f"{split}.parquet", kind, LABELS, examples)  # type: ignore[arg-type]
    digest = digest_examples(examples)
    digests = dict.fromkeys(("train", "validation", "test"), digest)
    files = digests_of(folder / "t", (f"{split}.parquet" for split in digests))
    write_record(
        folder / "t" / "info.json", {"task": "t", "labels": list(LABELS), "digests": digests, "files": files}
    )
    return folder / "t"


def place(folder: Path) -> dict[str, Any]:
    """What the record of `R/encoded/TOKENIZER/TASK` says of where it belongs."""
    return {"vocabulary": folder.parent.name, "job": {"task_id": folder.name}}


def encoded(folder: Path, examples: Path, kind: str, max_length: int) -> Path:
    """`R/encoded/t`, by a tokenizer called `encoded`; the encoder lies in `folder`."""
    made = encoder()
    made.backend.save(str(folder / "fast_tokenizer.json"))
    made.info.write(folder)
    encode_task(job(kind, max_length), "encoded", folder, examples, folder / "encoded" / "t")
    return folder / "encoded" / "t"


TAGGED = [
    TaggingExample("1", "g", ("ab", "cd", "e"), ("B-X", "I-X", "O")),
    TaggingExample("2", "g", ("e", "ab"), ("O", "B-X")),
]
