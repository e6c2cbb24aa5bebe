"""The table of the corpus: what each source gave, before and after cleaning."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from ligero.corpus.statistics import CorpusRecord, PartRecord
from ligero.reporting.frames import Cells, joined, table
from ligero.reporting.names import beside_the_thesis
from ligero.reporting.published import read_table
from ligero.reporting.results import Results

COUNTS = ("lines", "tokens", "characters", "bytes", "documents")
PUBLISHED = ("lines", "tokens", "characters")


def corpus(results: Results) -> pd.DataFrame:
    """Counts of every source (of every file, where one is an archive) and their total, beside the thesis' total."""
    statistics = results.corpus
    rows = [_row(name, counts) for name, counts in _sources(statistics)] if statistics else []
    total: Cells = _row("total", statistics["total"]) if statistics else {"source": "total"}
    notes = _notes_on_total(statistics)
    if beside_the_thesis(results.study):
        (published,) = read_table("corpus_totals")
        total |= {f"published_{name}": int(published[name]) for name in PUBLISHED}
        notes.append(f"published: {published['citation']}")
    total["notes"] = joined(notes)
    columns = [
        "source",
        *COUNTS,
        *(f"raw_{name}" for name in COUNTS),
        "lines_dropped",
        *(f"published_{name}" for name in PUBLISHED),
    ]
    return table(columns, [*rows, total], results.study.scale)


def _sources(statistics: CorpusRecord) -> Iterable[tuple[str, PartRecord]]:
    for name, counts in statistics["parts"].items():
        yield name, counts
        for file, counts_of_file in counts.get("files", {}).items():
            yield f"{name}: {file}", counts_of_file


def _row(source: str, counts: PartRecord) -> Cells:
    return {
        "source": source,
        **{name: counts["clean"][name] for name in COUNTS},
        **{f"raw_{name}": counts["raw"][name] for name in COUNTS},
        "lines_dropped": sum(counts["dropped_lines"].values()),
        "notes": _dropped(counts),
    }


def _dropped(counts: PartRecord) -> str | None:
    """How many lines were dropped for which reason, as a note."""
    dropped = counts["dropped_lines"]
    reasons = ", ".join(f"{reason} {number:,}" for reason, number in dropped.items() if number)
    return f"lines dropped: {reasons}" if reasons else None


def _notes_on_total(statistics: CorpusRecord | None) -> list[str]:
    if not statistics:
        return ["this study reads no corpus"]
    validation = statistics["documents"]["validation"]
    notes = [
        _dropped(statistics["total"]),
        f"{validation:,} documents are kept out of pretraining",
    ]
    if forgotten := statistics.get("near_duplicate_hashes_forgotten"):
        notes.append(f"{forgotten:,} hashes of near-duplicates were forgotten: raise memory_mb")
    return [note for note in notes if note]
