"""XNLI (Conneau et al. 2018): XNLI-1.0 (19 columns, all languages) and XNLI-MT-1.0 (translated training set)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ligero.common.errors import DataError
from ligero.tasks.examples import ClassificationExample
from ligero.tasks.lines import read_tsv
from ligero.tasks.readers.context import ReaderContext, content_group

LANGUAGE = "es"
EVALUATION_COLUMNS = (
    *("language", "gold_label", "sentence1_binary_parse", "sentence2_binary_parse", "sentence1_parse"),
    *(
        "sentence2_parse",
        "sentence1",
        "sentence2",
        "promptID",
        "pairID",
        "genre",
        "label1",
        "label2",
        "label3",
    ),
    *("label4", "label5", "sentence1_tokenized", "sentence2_tokenized", "match"),
)
TRAINING_COLUMNS = ("premise", "hypo", "label")
SPELLINGS = {"contradictory": "contradiction"}
"""XNLI-MT writes one label otherwise than XNLI."""


def read_xnli(path: Path, context: ReaderContext) -> Iterator[ClassificationExample]:
    """Read XNLI-1.0 (Spanish rows only) or XNLI-MT-1.0, recognised by the header. The group is the premise."""
    rows = 0
    layouts = [EVALUATION_COLUMNS, TRAINING_COLUMNS]
    for line, row in read_tsv(path, layouts, context.notes, context.problems):
        if "language" in row:
            if row["language"] != LANGUAGE:
                continue
            premise, hypothesis, label = row["sentence1"], row["sentence2"], row["gold_label"]
            # Other corpora in this layout leave the numbers blank.
            identity, group = row["pairID"] or str(line - 1), row["promptID"] or content_group([premise])
        else:
            # MultiNLI's three hypotheses of a premise are not marked as such: the premise itself is the group.
            identity, group = str(line - 1), row["premise"]
            premise, hypothesis, label = row["premise"], row["hypo"], row["label"]
        rows += 1
        yield ClassificationExample(
            id=identity,
            group=group,
            text=context.check_text(premise),
            second_text=context.check_text(hypothesis),
            label=context.check_label(path, line, SPELLINGS.get(label, label)),
        )
    if not rows and not context.problems:
        raise DataError(path, None, f"no row has language '{LANGUAGE}'.", "Is it the right file?")
