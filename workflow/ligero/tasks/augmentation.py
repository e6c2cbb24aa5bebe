"""Unlabelled examples beside a task's training examples, for a teacher to label. Needs no torch.

A student that learns from a teacher's logits needs no gold labels, so the teacher can be asked about any text: Turc et al.,
"Well-Read Students Learn Better" (2019), section 2 ("unlabeled transfer data"); Xie et al., "Self-training with Noisy Student"
(CVPR 2020), section 2, with soft labels and without the noise. Jiao et al., "TinyBERT" (Findings of EMNLP 2020), section 3.2, make
their additional text by replacing words; ours is text that people wrote. Pairs of texts: `recombination.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ligero.common.errors import DataError
from ligero.common.files import atomic_directory
from ligero.common.hashing import digest_value
from ligero.common.records import check_file, digests_of
from ligero.corpus.sampling import sample_lines
from ligero.settings.jobs import AugmentationJob
from ligero.settings.tasks import SPLITS
from ligero.tasks.examples import IGNORED
from ligero.tasks.recombination import Pair, pair_key, recombined_pairs
from ligero.tasks.records import EXAMPLES_REMEDY, TaskInfo, read_task_info, write_task_info
from ligero.tasks.texts import plain_key

if TYPE_CHECKING:
    import pyarrow

    Splits = Mapping[str, pyarrow.Table]

LINES_PER_SENTENCE = 3
"""Lines drawn from the corpus for every sentence that is wanted: many are too short, too long or known."""

WORD = re.compile(r"\w+(?:[-.,'’]\w+)*|\.\.\.|[^\w\s]")
"""A word as the tagging corpora cut them: punctuation stands alone, but not inside numbers, compounds and abbreviations."""
_END = re.compile(r"(?<=[.!?…])[\"'»”’)\]]*\s+")


def augment_task(job: AugmentationJob, corpus: Path | None, examples_dir: Path, out: Path) -> TaskInfo:
    """Write a task's examples again to `out`, the training split followed by unlabelled ones; all or nothing.

    Args:
        corpus: cleaned text, documents of lines; not read where new pairs are made of the task's own texts.
        examples_dir: `R/tasks/TASK`.

    Returns:
        What `info.json` holds: the task's own with the new counts and digests, and `augmentation`.

    Raises:
        DataError: nothing can be added.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    info = read_task_info(examples_dir)
    for name in SPLITS:
        check_file(examples_dir / f"{name}.parquet", info["files"][f"{name}.parquet"], EXAMPLES_REMEDY)
    splits = {name: pq.ParquetFile(examples_dir / f"{name}.parquet").read() for name in SPLITS}
    wanted = max(1, round(job.ratio * splits["train"].num_rows))
    chosen: list[str] | list[Pair]
    counts: dict[str, int]
    if job.pairs:
        chosen, counts = _pairs(job, splits, wanted, examples_dir), {}
    else:
        assert corpus is not None
        chosen, counts = _sentences(job, splits, wanted, corpus)
    added = pa.Table.from_pydict(_rows(job, chosen), schema=splits["train"].schema)
    info["counts"]["train"] += len(chosen)
    info["digests"]["train"] = digest_value([info["digests"]["train"], chosen])
    info["augmentation"] = {"examples": len(chosen), **counts}
    with atomic_directory(out) as staging:
        for name, table in splits.items():
            whole = pa.concat_tables([table, added]) if name == "train" else table
            pq.write_table(whole, staging / f"{name}.parquet", compression="zstd")
        info["files"] = digests_of(staging, (f"{name}.parquet" for name in SPLITS))
        write_task_info(staging, info)
    return info


def _pairs(job: AugmentationJob, splits: Splits, wanted: int, examples_dir: Path) -> list[Pair]:
    """New pairs of the training split's texts, none of which any split has."""
    pairs = {
        name: list(
            zip(table.column("text").to_pylist(), table.column("second_text").to_pylist(), strict=True)
        )
        for name, table in splits.items()
    }
    known = {pair_key(pair) for found in pairs.values() for pair in found}
    chosen = recombined_pairs(pairs["train"], known, wanted, job.seed)
    if not chosen:
        raise DataError(
            examples_dir / "train.parquet",
            None,
            "its texts make no new pair: every first text is already paired with every second one.",
            "Take the task out of the ablation, or leave its augmented methods out.",
        )
    return chosen


def _sentences(
    job: AugmentationJob, splits: Splits, wanted: int, corpus: Path
) -> tuple[list[str], dict[str, int]]:
    """A seeded sample of new sentences, in the corpus' order, each once."""
    column = "words" if job.task_type == "token_classification" else "text"
    known = {_key(text) for table in splits.values() for text in table.column(column).to_pylist()}
    found: dict[str, str] = {}
    counts = {"lines": 0, "in_the_task": 0}
    for line in sample_lines(corpus, LINES_PER_SENTENCE * wanted, job.seed):
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
    if not sentences:
        raise DataError(
            corpus,
            None,
            f"no sentence of {job.min_words} to {job.max_words} words that the task does not have.",
            "Widen distillation.augmentation.min_words and max_words.",
        )
    if len(sentences) > wanted:
        drawn = np.random.default_rng(job.seed).choice(len(sentences), wanted, replace=False)
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
    return plain_key(text if isinstance(text, str) else " ".join(text))


def _rows(job: AugmentationJob, chosen: Sequence[str] | Sequence[Pair]) -> dict[str, list[Any]]:
    """Columns of an examples file."""
    ids = [f"unlabelled-{number}" for number in range(len(chosen))]
    if job.task_type == "token_classification":
        words = [WORD.findall(str(sentence)) for sentence in chosen]
        labels = [[IGNORED] * len(found) for found in words]
        return {"id": ids, "group": ids, "words": words, "labels": labels}
    texts, seconds = zip(*chosen, strict=True) if job.pairs else (chosen, [None] * len(ids))
    labels_of_texts = [IGNORED] * len(ids)
    columns = {"text": list(texts), "second_text": list(seconds), "label": labels_of_texts}
    return {"id": ids, "group": ids, **columns}
