"""Raw sources to clean text: read, clean in parallel, drop repeated lines, split off validation, count, write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ligero.common.errors import DataError
from ligero.common.files import atomic_path, write_json
from ligero.common.progress import progress
from ligero.corpus.deduplication import SeenLines, drop_repeated
from ligero.corpus.fast_cleaning import CleanedBlock, clean_block, line_length_histogram
from ligero.corpus.parallel import ordered_map
from ligero.corpus.reading import BLOCK_BYTES, read_blocks, read_documents
from ligero.corpus.splitting import cut_documents, rank, split_documents
from ligero.corpus.statistics import PartStatistics, text_statistics
from ligero.corpus.writing import TextWriter
from ligero.settings.corpus import Cleaning

BYTES_PER_PROCESS = 8 << 20
"""Another process starts only for so much input more: starting one takes longer than cleaning less."""


@dataclass(frozen=True)
class CleanPaths:
    """Where the cleaned corpus lies below a folder."""

    folder: Path

    @property
    def train(self) -> Path:
        return self.folder / "clean" / "train.txt.zst"

    @property
    def validation(self) -> Path:
        return self.folder / "clean" / "validation.txt.zst"

    @property
    def statistics(self) -> Path:
        return self.folder / "statistics.json"


def _blocks(parts: dict[str, Path], names: list[str], block_bytes: int) -> Iterator[bytes]:
    """The blocks of all parts; `names` receives the part of each block, in step with the results."""
    for name, path in parts.items():
        for block in read_blocks(path, block_bytes):
            names.append(name)
            yield block


def clean_corpus(
    parts: dict[str, Path],
    folder: Path,
    cleaning: Cleaning,
    *,
    deduplicate: str = "none",
    validation_share: float = 0.01,
    seed: int = 42,
    processes: int = 1,
    block_bytes: int = BLOCK_BYTES,
) -> dict[str, Any]:
    """Clean the parts of a corpus into `folder` and return the statistics that were written there.

    Args:
        parts: path of each part, in the corpus' order.
        folder: receives clean/train.txt.zst, clean/validation.txt.zst and statistics.json.
        cleaning: the steps.
        deduplicate: "exact" drops every line that stood before, across all parts.
        validation_share: share of documents for validation, chosen by their text.
        seed: changes which documents these are.
        processes: how many clean at once; the result does not depend on it.
        block_bytes: text cleaned at a time; memory is a few blocks a process.

    Raises:
        DataError: a part is missing, damaged, not UTF-8, or nothing is left of the corpus.
    """
    totals = {name: PartStatistics() for name in parts}
    seen = SeenLines() if deduplicate == "exact" else None
    names: list[str] = []
    paths = CleanPaths(folder)
    processes = min(processes, 1 + _bytes(parts) // BYTES_PER_PROCESS)
    documents = {"train": 0, "validation": 0}
    with atomic_path(paths.train) as train, atomic_path(paths.validation) as held_out:
        with TextWriter(train) as train_writer, TextWriter(held_out) as validation_writer:
            results: Iterable[CleanedBlock] = ordered_map(
                partial(clean_block, cleaning=cleaning), _blocks(parts, names, block_bytes), processes
            )
            bar = progress(total=None, label="cleaning", unit="B")
            for number, result in enumerate(results):
                name, text = names[number], result.text
                bar.update(result.statistics.raw.bytes)
                totals[name].add(result.statistics)
                if seen is not None:
                    text = _without_repeated(text, seen, totals[name], result)
                training, validation = split_documents(cut_documents(text), validation_share, seed)
                train_writer.write(training)
                validation_writer.write(validation)
                documents["train"] += len(training)
                documents["validation"] += len(validation)
            bar.close()
        _refuse_empty(parts, totals)
        if validation_share > 0 and not documents["validation"]:
            _hold_out_one(parts, train, held_out, seed)
            documents = {"train": documents["train"] - 1, "validation": 1}
    total = PartStatistics()
    for statistics in totals.values():
        total.add(statistics)
    written = {
        "parts": {name: statistics.as_json() for name, statistics in totals.items()},
        "total": total.as_json(),
        "documents": documents,
    }
    write_json(paths.statistics, written)
    return written


def _bytes(parts: dict[str, Path]) -> int:
    return sum(path.stat().st_size for path in parts.values() if path.exists())


def _without_repeated(text: bytes, seen: SeenLines, total: PartStatistics, block: CleanedBlock) -> bytes:
    kept, dropped = drop_repeated(text, seen)
    before = PartStatistics()
    before.clean, before.histogram = block.statistics.clean, block.statistics.histogram
    after = text_statistics(b"\n" + kept)
    for name in vars(after):
        change = getattr(after, name) - getattr(before.clean, name)
        setattr(total.clean, name, getattr(total.clean, name) + change)
    histogram = line_length_histogram(kept)
    total.histogram[: len(before.histogram)] -= before.histogram
    total.histogram[: len(histogram)] += histogram
    total.dropped["duplicate"] += dropped
    return kept


def _refuse_empty(parts: dict[str, Path], totals: dict[str, PartStatistics]) -> None:
    for name, path in parts.items():
        if not totals[name].raw.lines:
            raise DataError(
                path,
                None,
                f"part '{name}' of the corpus has no text.",
                "Fetch it again or take it out of corpus.parts.",
            )
    if not sum(statistics.clean.lines for statistics in totals.values()):
        raise DataError(
            next(iter(parts.values())),
            None,
            "the corpus is empty after cleaning.",
            "Look at corpus.cleaning: some step drops every line.",
        )


def _hold_out_one(parts: dict[str, Path], train: Path, validation: Path, seed: int) -> None:
    """Move the document of lowest rank to validation, in a corpus so small that none was below the share."""
    ranks = [rank(_as_bytes(document), seed) for document in read_documents(train)]
    if len(ranks) < 2:
        raise DataError(
            next(iter(parts.values())),
            None,
            "the corpus is a single document, so none can be kept for validation.",
            "Separate documents by blank lines, or set corpus.validation_share: 0.",
        )
    chosen = ranks.index(min(ranks))
    rest = train.with_name(train.name + ".rest")
    with TextWriter(rest) as remaining, TextWriter(validation) as held_out:
        for number, document in enumerate(read_documents(train)):
            (held_out if number == chosen else remaining).write([_as_bytes(document)])
    rest.replace(train)


def _as_bytes(document: list[str]) -> bytes:
    return "".join(line + "\n" for line in document).encode("utf-8")
