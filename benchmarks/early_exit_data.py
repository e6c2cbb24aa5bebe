"""Labelled texts for early exit: generated news with their topics, and real sentences with the kind of text that they are from."""

from __future__ import annotations

import csv
import io
import lzma
import random
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from ligero.common.errors import DataError
from ligero.common.files import write_text
from ligero.synthetic.table import labelled_texts

Splits = dict[str, list[tuple[str, str]]]
"""Split to its texts, each with its label."""
PER_LABEL = {"train": 240, "validation": 200, "test": 200}
"""Real sentences of each kind."""
GENERATED = {"train": 1400, "validation": 1200, "test": 1200}
SHARES = {"train": (0.0, 0.6), "validation": (0.6, 0.8), "test": (0.8, 1.0)}
"""Each split's part of a file: its splits share no document, but perhaps one at the border."""
GENRES = {
    "ley": "laws_es.txt.xz",
    "software": "software_docs_es.txt.xz",
    "novela": "novels_1830_1940_es.txt.xz",
    "discurso": "speeches_es.txt.xz",
    "noticia": "news_fakenews_es.txt.xz",
    "enciclopedia": "wiki_sentences_es.txt.xz",
}
SHORTEST, LONGEST = 40, 240
"""Characters of a sentence."""
_END = re.compile(r"(?<=[.!?])\s+")


def generated_texts(seed: int = 42) -> Splits:
    """Generated news, the topics in turn; each text once."""
    found = iter(labelled_texts(seed, sum(GENERATED.values())))
    return {split: [next(found) for _ in range(count)] for split, count in GENERATED.items()}


def genre_texts(folder: Path, seed: int = 42) -> Splits:
    """Sentences drawn at random from each file's parts, each once.

    Args:
        folder: holds the files of GENRES.

    Raises:
        DataError: a file is missing, or has too few sentences.
    """
    splits: Splits = {split: [] for split in SHARES}
    seen: set[str] = set()
    for label, name in GENRES.items():
        path = folder / name
        if not path.is_file():
            raise DataError(path, None, "no such file.", "Name the folder that holds raw/ with --mirror.")
        with lzma.open(path, "rt", encoding="utf-8") as handle:
            lines = [line.strip() for line in handle if line.strip()]
        for split, (start, end) in SHARES.items():
            part = lines[round(start * len(lines)) : round(end * len(lines))]
            random.Random(f"{seed}/{label}/{split}").shuffle(part)
            found = [text for text in chain.from_iterable(map(_sentences, part)) if text not in seen]
            found = list(dict.fromkeys(found))[: PER_LABEL[split]]
            if len(found) < PER_LABEL[split]:
                raise DataError(
                    path, None, f"only {len(found)} sentences for {split}, expected {PER_LABEL[split]}."
                )
            seen.update(found)
            splits[split] += [(text, label) for text in found]
    return splits


def _sentences(paragraph: str) -> Iterator[str]:
    """A paragraph's first whole sentence, where it is neither short nor long."""
    sentence = _END.split(paragraph, maxsplit=1)[0]
    if SHORTEST <= len(sentence) <= LONGEST and sentence[0].isupper() and sentence[-1] in ".!?":
        yield sentence


def write_splits(folder: Path, splits: Splits) -> None:
    """Write FOLDER/SPLIT.csv with the columns text and label."""
    for split, rows in splits.items():
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows([("text", "label"), *rows])
        write_text(folder / f"{split}.csv", text.getvalue())
