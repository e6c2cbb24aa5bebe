"""Unlabelled sentences of the corpus beside a task's training examples, for a teacher to label. Needs no torch.

A student that learns from a teacher's logits needs no gold labels, so the teacher can be asked about any text: Turc et al.,
"Well-Read Students Learn Better" (2019), section 2 ("unlabeled transfer data"); Xie et al., "Self-training with Noisy Student"
(CVPR 2020), section 2, with soft labels and without the noise. Jiao et al., "TinyBERT" (Findings of EMNLP 2020), section 3.2, make
their additional text by replacing words; ours is text that people wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ligero.common.errors import DataError
from ligero.common.files import atomic_directory, read_json, write_json
from ligero.common.hashing import digest_value
from ligero.settings.augmentation import AugmentationJob
from ligero.settings.tasks import TaskType
from ligero.tokenizers.sampling import sample_lines

UNLABELLED = -100
"""Label of what was added: no loss on gold labels counts it."""
LINES_PER_SENTENCE = 3
"""Lines drawn from the corpus for every sentence that is wanted: many are too short, too long or known."""

WORD = re.compile(r"\w+(?:[-.,'’]\w+)*|\.\.\.|[^\w\s]")
"""A word as the tagging corpora cut them: punctuation stands alone, but not inside numbers, compounds and abbreviations."""
_END = re.compile(r"(?<=[.!?…])[\"'»”’)\]]*\s+")
_LETTERS = re.compile(r"[^\W\d_]+")


def augment_task(job: AugmentationJob, corpus: Path, examples_dir: Path, out: Path) -> dict[str, Any]:
    """Write a task's examples again to `out`, the training split followed by unlabelled sentences; all or nothing.

    Args:
        corpus: cleaned text, documents of lines.
        examples_dir: `R/tasks/TASK`.

    Returns:
        What `info.json` holds: the task's own with the new counts and digests, and `augmentation` (sentences, lines drawn,
        sentences left out because the task has them).

    Raises:
        DataError: the task's examples are pairs, or the corpus has no sentence of the wanted length.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    splits = {name: pq.ParquetFile(examples_dir / f"{name}.parquet").read() for name in _SPLITS}
    column = "words" if job.task_type == "token_classification" else "text"
    if job.task_type == "sequence_classification" and any(splits["train"].column("second_text").to_pylist()):
        raise DataError(
            examples_dir / "train.parquet",
            None,
            "the examples are pairs of texts, which sentences of the corpus cannot stand in for.",
            "Take the task out of distillation.augmentation.tasks and of the comparison's augmented methods.",
        )
    known = {_key(text) for table in splits.values() for text in table.column(column).to_pylist()}
    chosen, counts = _sentences(job, corpus, known)
    if not chosen:
        raise DataError(
            corpus,
            None,
            f"no sentence of {job.min_words} to {job.max_words} words that the task does not have.",
            "Widen distillation.augmentation.min_words and max_words.",
        )
    added = pa.Table.from_pydict(_rows(job.task_type, chosen), schema=splits["train"].schema)
    info = read_json(examples_dir / "info.json")
    info["counts"]["train"] += len(chosen)
    info["digests"]["train"] = digest_value([info["digests"]["train"], chosen])
    info["augmentation"] = {"sentences": len(chosen), **counts}
    with atomic_directory(out) as staging:
        for name, table in splits.items():
            whole = pa.concat_tables([table, added]) if name == "train" else table
            pq.write_table(whole, staging / f"{name}.parquet", compression="zstd")
        write_json(staging / "info.json", info)
    return dict(info)


_SPLITS = ("train", "validation", "test")


def _sentences(job: AugmentationJob, corpus: Path, known: set[str]) -> tuple[list[str], dict[str, int]]:
    """A seeded sample of new sentences, in the corpus' order, each once."""
    found: dict[str, str] = {}
    counts = {"lines": 0, "in_the_task": 0}
    for line in sample_lines(corpus, LINES_PER_SENTENCE * job.sentences, job.seed):
        counts["lines"] += 1
        for sentence in cut_sentences(line):
            words = len(WORD.findall(sentence))
            if not job.min_words <= words <= job.max_words:
                continue
            key = _key(sentence)
            if key in known:
                counts["in_the_task"] += 1
            elif key:
                found.setdefault(key, sentence)
    sentences = list(found.values())
    if len(sentences) > job.sentences:
        drawn = np.random.default_rng(job.seed).choice(len(sentences), job.sentences, replace=False)
        sentences = [sentences[place] for place in np.sort(drawn).tolist()]
    return sentences, counts


def cut_sentences(line: str) -> Iterator[str]:
    """The sentences of a line: cut after . ! ? … where what follows does not begin in lower case (unless all the line does)."""
    cased = line != line.lower()
    start = 0
    for end in _END.finditer(line):
        rest = line[end.end() :]
        first = next((char for char in rest if char.isalnum()), "")
        if cased and first.islower():
            continue
        yield line[start : end.end()].strip()
        start = end.end()
    if line[start:].strip():
        yield line[start:].strip()


def _key(text: str | Iterable[str]) -> str:
    """What two texts share when they say the same words, whatever their case, punctuation and spacing."""
    joined = text if isinstance(text, str) else " ".join(text)
    return " ".join(_LETTERS.findall(joined.casefold()))


def _rows(task_type: TaskType, sentences: list[str]) -> dict[str, list[Any]]:
    """Columns of an examples file."""
    ids = [f"unlabelled-{number}" for number in range(len(sentences))]
    if task_type == "token_classification":
        words = [WORD.findall(sentence) for sentence in sentences]
        labels = [[UNLABELLED] * len(found) for found in words]
        return {"id": ids, "group": ids, "words": words, "labels": labels}
    nothing, labels_of_texts = [None] * len(ids), [UNLABELLED] * len(ids)
    return {"id": ids, "group": ids, "text": sentences, "second_text": nothing, "label": labels_of_texts}
