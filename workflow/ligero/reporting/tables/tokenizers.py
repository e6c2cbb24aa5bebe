"""The table of tokenizers: how well each fits the texts that it has to read."""

from __future__ import annotations

import pandas as pd

from ligero.reporting.frames import Cells, printed, table
from ligero.reporting.results import Results
from ligero.tokenizers.quality import QualityRow

COLUMNS = (
    "tokenizer",
    "kind",
    "size",
    "text",
    "sentences",
    "words",
    "tokens",
    "tokens_per_word",
    "tokens_per_sentence",
    "unknown_tokens_percent",
    "single_token_words_percent",
)


def tokenizers(results: Results) -> pd.DataFrame:
    """Each tokenizer on the held-out corpus and on the test split of each task."""
    found = results.tokenizer_quality
    return table(COLUMNS, [_row(results, row, found.most_lines) for row in found.rows], results.study.scale)


def _row(results: Results, row: QualityRow, most_lines: int) -> Cells:
    task = row.task
    cut = task is None and row.sentences >= most_lines
    return {
        **{
            name: getattr(row, name) for name in ("tokenizer", "kind", "size", "sentences", "words", "tokens")
        },
        "text": "held-out corpus" if task is None else f"{results.study.tasks[task].name}, test",
        "tokens_per_word": printed(row.fertility, 3),
        "tokens_per_sentence": printed(row.tokens_per_sentence),
        "unknown_tokens_percent": printed(100 * row.unknown_share, 3),
        "single_token_words_percent": printed(100 * row.single_token_words),
        "notes": f"the first {most_lines} lines" if cut else None,
    }
