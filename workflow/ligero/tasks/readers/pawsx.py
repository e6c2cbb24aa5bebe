"""PAWS-X (Yang et al. 2019): TSV `id sentence1 sentence2 label`, no quoting; label 1 = paraphrase."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ligero.tasks.examples import ClassificationExample
from ligero.tasks.lines import read_tsv
from ligero.tasks.readers.context import ReaderContext

COLUMNS = ("id", "sentence1", "sentence2", "label")


def read_pawsx(path: Path, context: ReaderContext) -> Iterator[ClassificationExample]:
    """Read one PAWS-X file. The group is the pair's first sentence, which several pairs may share."""
    for line, row in read_tsv(path, [COLUMNS], context.notes, context.problems):
        if row["sentence1"] == "NS" or row["sentence2"] == "NS":
            context.notes["pairs with a sentence that the publishers left untranslated ('NS')"] += 1
        yield ClassificationExample(
            id=row["id"],
            group=row["id"] if row["sentence1"] == "NS" else row["sentence1"],
            text=context.check_text(row["sentence1"]),
            second_text=context.check_text(row["sentence2"]),
            label=context.check_label(path, line, row["label"]),
        )
