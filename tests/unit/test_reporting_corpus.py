"""The table and the figure of the corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ligero.common.records import write_record
from ligero.reporting.registry import figures, make_table
from ligero.reporting.results import Results
from ligero.settings.study import Study
from tests.builders.results import corpus_statistics

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def results(study: Study, tmp_path: Path) -> Results:
    results = Results(study, tmp_path)
    write_record(results.layout.corpus_statistics, corpus_statistics(study))
    return results


def cells(frame: pd.DataFrame, source: str) -> dict[str, Any]:
    (row,) = frame[frame["source"] == source].to_dict("records")
    return {str(column): value for column, value in row.items()}


def test_the_corpus_table_has_a_row_a_source_and_file_and_the_published_total_last(results: Results) -> None:
    frame = make_table("corpus", results)
    assert results.study.corpus
    parts = results.study.corpus.parts
    assert list(frame["source"]) == [*parts, f"{parts[-1]}: raw/a.txt", f"{parts[-1]}: raw/b.txt", "total"]
    row = cells(frame, parts[0])
    assert (row["lines"], row["raw_lines"], row["lines_dropped"]) == (7, 9, 2)
    assert (row["published_lines"], row["notes"]) == (None, "lines dropped: listing 2")
    total = cells(frame, "total")
    published = [total[f"published_{name}"] for name in ("lines", "tokens", "characters")]
    assert published == [300_904_000, 2_996_016_962, 18_431_160_978]
    assert "Cañete" in total["notes"] and "1 documents are kept out" in total["notes"]


def test_a_study_without_a_corpus_has_no_lengths_to_draw(study: Study, tmp_path: Path) -> None:
    from ligero.reporting.figures.corpus_lengths import doublings

    changed = study.model_dump(mode="json") | {"corpus": None, "tokenizers": {}}
    for model in changed["models"].values():
        model |= {"weights": "local", "local": "x", "tokenizer": None, "pretraining": None}
    bare = Results(Study.model_validate(changed), tmp_path)
    assert cells(make_table("corpus", bare), "total")["notes"].startswith("this study reads no corpus")
    assert "corpus_lengths" not in figures(bare.study)
    bins = [
        {"from": 2, "to": 3, "lines": 3},
        {"from": 8, "to": 9, "lines": 1},
        {"from": 13, "to": 15, "lines": 4},
    ]
    assert doublings(bins, "lines") == ([2, 4, 8, 16], [37.5, 0.0, 62.5])
