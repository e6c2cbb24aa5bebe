"""Raw sources to clean text: read, clean in parallel, drop what is repeated, split off validation, count, write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ligero.common.allocator import keep_freed_memory
from ligero.common.errors import DataError
from ligero.common.files import atomic_path
from ligero.common.prefetch import ReadAhead
from ligero.common.progress import progress
from ligero.common.records import digests_of
from ligero.corpus.block_cleaning import PreparedBlock, prepare_block
from ligero.corpus.exact_duplicates import SeenLines, drop_repeated
from ligero.corpus.fast_cleaning import count_clean
from ligero.corpus.language import check_language
from ligero.corpus.near_duplicates import SeenTexts, drop_near_duplicates
from ligero.corpus.parallel import ordered_map
from ligero.corpus.reading import BLOCK_BYTES, read_documents, read_named_blocks
from ligero.corpus.splitting import cut_documents, rank, split_documents
from ligero.corpus.statistics import CorpusRecord, PartRecord, PartStatistics, write_statistics
from ligero.corpus.writing import TextWriter
from ligero.settings.corpus import Corpus

BYTES_PER_PROCESS = 8 << 20
"""Another process starts only for so much input more: starting one takes longer than cleaning less."""


PARTS_READ_AT_ONCE = 3
BLOCKS_AHEAD = 6
"""Of each of these parts: what is read ahead takes up to 72 MiB, whatever the corpus' size."""


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


Place = tuple[str, str]
"""Where a block is from: (part, file in the part where that is an archive)."""


def _blocks(parts: dict[str, Path], places: list[Place], block_bytes: int, processes: int) -> Iterator[bytes]:
    """The blocks of all parts; `places` receives where each is from, in step with the results.

    Beside several processes that clean, parts are read and decompressed in threads: the one whose turn it is, and the
    beginning of the next ones.
    """
    names = list(parts)
    starts = [partial(read_named_blocks, parts[name], block_bytes, processes) for name in names]
    if processes == 1:
        for name, start in zip(names, starts, strict=True):
            yield from _noted(name, start(), places)
        return
    reading: dict[int, ReadAhead[tuple[str, bytes]]] = {}
    try:
        for number, name in enumerate(names):
            for ahead in range(number, min(number + PARTS_READ_AT_ONCE, len(names))):
                if ahead not in reading:
                    reading[ahead] = ReadAhead(starts[ahead], BLOCKS_AHEAD)
            yield from _noted(name, reading[number], places)
            reading[number].close()
    finally:
        for part in reading.values():
            part.close()


def _noted(name: str, blocks: Iterator[tuple[str, bytes]], places: list[Place]) -> Iterator[bytes]:
    for member, block in blocks:
        places.append((name, member))
        yield block


class Repetitions:
    """Drops from each block, in order, what an earlier one held already."""

    def __init__(self, settings: Corpus) -> None:
        self._settings = settings
        self._lines = SeenLines() if settings.deduplicate == "exact" else None
        self._texts = SeenTexts(settings.near_duplicates) if settings.near_duplicates else None

    @property
    def forgotten(self) -> int:
        """Hashes of texts forgotten because memory was full."""
        return self._texts.forgotten if self._texts is not None else 0

    def drop(self, block: PreparedBlock) -> bytes:
        """The text that is left of a block; its statistics are put right."""
        text, dropped = block.text, block.statistics.dropped
        if self._texts is not None and self._settings.near_duplicates and block.bands is not None:
            unit = self._settings.near_duplicates.unit
            text, dropped["near_duplicate"] = drop_near_duplicates(text, block.bands, self._texts, unit)
        if self._lines is not None:
            text, dropped["duplicate"] = drop_repeated(text, self._lines)
        if len(text) != len(block.text):
            count_clean(block.statistics, text, self._settings.cleaning)
        return text


def clean_corpus(
    parts: dict[str, Path],
    folder: Path,
    settings: Corpus,
    *,
    processes: int = 1,
    block_bytes: int = BLOCK_BYTES,
) -> CorpusRecord:
    """Clean the parts of a corpus into `folder` and return the statistics that were written there.

    Args:
        parts: path of each part, in the corpus' order.
        folder: receives clean/train.txt.zst, clean/validation.txt.zst and statistics.json.
        settings: what is dropped and changed, and how much is kept for validation.
        processes: how many clean at once; the result does not depend on it.
        block_bytes: text cleaned at a time; memory is a few blocks per process.

    Raises:
        DataError: a part is missing, damaged, not UTF-8, or nothing is left of the corpus.
        ConfigurationError: the language is not known.
    """
    if settings.language:
        check_language(settings.language)
    share, seed = settings.validation_share, settings.seed
    totals: dict[Place, PartStatistics] = {}
    repetitions = Repetitions(settings)
    places: list[Place] = []
    paths = CleanPaths(folder)
    processes = min(processes, 1 + _bytes(parts) // BYTES_PER_PROCESS)
    documents = {"train": 0, "validation": 0}
    with atomic_path(paths.train) as train, atomic_path(paths.validation) as held_out:
        with TextWriter(train) as train_writer, TextWriter(held_out) as validation_writer:
            results: Iterable[PreparedBlock] = ordered_map(
                partial(prepare_block, settings=settings),
                _blocks(parts, places, block_bytes, processes),
                processes,
                keep_freed_memory,
            )
            bar = progress(total=None, label="cleaning", unit="B")
            for number, result in enumerate(results):
                bar.update(result.statistics.raw.bytes)
                text = repetitions.drop(result)
                totals.setdefault(places[number], PartStatistics()).add(result.statistics)
                training, validation = split_documents(cut_documents(text), share, seed)
                train_writer.write(training)
                validation_writer.write(validation)
                documents["train"] += len(training)
                documents["validation"] += len(validation)
            bar.close()
        _refuse_empty(parts, totals)
        if share > 0 and not documents["validation"]:
            _hold_out_one(parts, train, held_out, seed)
            documents = {"train": documents["train"] - 1, "validation": 1}
    written: CorpusRecord = {
        "parts": {name: _part_record(name, totals) for name in parts},
        "total": _sum(totals.values()).record(),
        "documents": documents,
    }
    if settings.near_duplicates:
        written["near_duplicate_hashes_forgotten"] = repetitions.forgotten
    names = [path.relative_to(folder).as_posix() for path in (paths.train, paths.validation)]
    written["files"] = digests_of(folder, names)
    write_statistics(paths.statistics, written)
    return written


def _sum(all_statistics: Iterable[PartStatistics]) -> PartStatistics:
    total = PartStatistics()
    for statistics in all_statistics:
        total.add(statistics)
    return total


def _of_part(part: str, totals: dict[Place, PartStatistics]) -> dict[str, PartStatistics]:
    return {member: statistics for (name, member), statistics in totals.items() if name == part}


def _part_record(part: str, totals: dict[Place, PartStatistics]) -> PartRecord:
    """Counts of a part, and those of each file where it is an archive."""
    members = _of_part(part, totals)
    counts = _sum(members.values()).record()
    files = {member: statistics.record() for member, statistics in members.items() if member}
    if files:
        counts["files"] = files
    return counts


def _bytes(parts: dict[str, Path]) -> int:
    return sum(path.stat().st_size for path in parts.values() if path.exists())


def _refuse_empty(parts: dict[str, Path], totals: dict[Place, PartStatistics]) -> None:
    for name, path in parts.items():
        if not _sum(_of_part(name, totals).values()).raw.lines:
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
