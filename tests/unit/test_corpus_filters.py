"""Language filter and near-duplicates: what they drop, counts, determinism, bounded memory."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ligero.common.errors import ConfigurationError
from ligero.corpus.language import drop_other_languages, in_language
from ligero.corpus.near_duplicates import (
    BYTES_PER_HASH,
    SeenTexts,
    band_hashes,
    bands_and_rows,
    drop_near_duplicates,
    units_of,
)
from ligero.corpus.pipeline import CleanPaths, clean_corpus
from ligero.corpus.reading import read_documents
from ligero.settings.corpus import Corpus, LanguageFilter, NearDuplicates

SPANISH = LanguageFilter(code="es")
SENTENCES = {
    "es": "el niño comió piña en casa de su abuela y no dijo nada a nadie",
    "en": "the boy ate a pineapple at his grandmother's house and told nobody",
    "pt": "o menino comeu um abacaxi na casa da sua avó e não disse nada",
    "fr": "le garçon a mangé un ananas chez sa grand-mère et n'a rien dit",
    "de": "der junge aß bei seiner großmutter eine ananas und sagte niemandem etwas",
}


def test_other_languages_are_dropped_and_short_lines_kept() -> None:
    text = "".join(f"{line}\n" for line in SENTENCES.values()) + "\nthe end\n\n" + SENTENCES["en"] + "\n"
    kept, dropped = drop_other_languages(text.encode(), SPANISH)
    assert kept.decode() == SENTENCES["es"] + "\n\nthe end\n"
    assert dropped == 5


@pytest.mark.parametrize(("minimum", "kept"), [(0.2, True), (0.3, True), (0.31, False)])
def test_a_line_is_kept_from_the_minimum_probability_on(
    minimum: float, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ligero.corpus.language.probability", lambda *_: 0.3)
    wanted = LanguageFilter(code="es", minimum_probability=minimum)
    assert in_language(SENTENCES["es"], wanted) is kept


def test_the_pipeline_counts_lines_of_other_languages(tmp_path: Path) -> None:
    source = tmp_path / "t.txt"
    source.write_text("\n\n".join(SENTENCES.values()) + "\n", encoding="utf-8")
    settings = Corpus(parts=("a",), language=SPANISH, validation_share=0.0)
    counts = clean_corpus({"a": source}, tmp_path / "o", settings)["total"]
    assert counts["dropped_lines"] == {"language": 4}
    assert (counts["raw"]["lines"], counts["clean"]["lines"], counts["clean"]["documents"]) == (5, 1, 1)
    with pytest.raises(
        ConfigurationError, match=r"corpus\.language\.code: no language 'xq'; known: .*\bes\b"
    ):
        clean_corpus({"a": source}, tmp_path / "o", Corpus(parts=("a",), language=LanguageFilter(code="xq")))


words = st.text(alphabet="abcñ", min_size=1, max_size=2)
documents_of_text = st.lists(
    st.lists(st.lists(words, min_size=1, max_size=12).map(" ".join), min_size=1, max_size=4).map(
        lambda lines: "".join(line + "\n" for line in lines).encode()
    ),
    min_size=1,
    max_size=12,
)


@given(documents_of_text, st.sampled_from(["document", "line"]), st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_copies_always_go_and_what_stays_is_untouched(
    documents: list[bytes], unit: str, shingle_words: int
) -> None:
    chosen = NearDuplicates(unit=unit, shingle_words=shingle_words)  # type: ignore[arg-type]
    text = b"\n".join(documents)
    units = units_of(text, unit)
    bands = band_hashes(units, chosen)
    kept, dropped = drop_near_duplicates(text, bands, SeenTexts(chosen), unit)
    left = units_of(kept, unit)
    # Nothing twice, nothing altered, order kept, the first always there; as many lines gone as counted.
    assert len(set(left)) == len(left)
    remaining = iter([unit.rstrip(b"\n") for unit in units])
    assert all(any(unit.rstrip(b"\n") == other for other in remaining) for unit in left)
    assert left[0].rstrip(b"\n") == units[0].rstrip(b"\n")
    assert dropped == len(units_of(text, "line")) - len(units_of(kept, "line"))
    # A second time everything is known, and texts one by one give what they give together.
    seen = SeenTexts(chosen)
    assert [seen.first_time(row[None])[0] for row in bands] == SeenTexts(chosen).first_time(bands)
    assert not any(seen.first_time(bands)) or len(left) < len(units)


def _text(generator: random.Random, number: int) -> list[str]:
    return [str(generator.randrange(10**6)) for _ in range(number)]


def test_similar_texts_meet_and_different_ones_do_not() -> None:
    generator = random.Random(1)
    chosen = NearDuplicates(similarity=0.8)
    near, far, different = [], [], []
    for _ in range(200):
        original = _text(generator, 400)
        one_changed, half_changed = list(original), list(original)
        one_changed[200] = "otra"  # five of 396 runs: similarity 0.975
        for place in range(0, 400, 20):
            half_changed[place] = "otra"  # 100 runs of 396 gone on both sides: similarity about 0.6
        hashes = band_hashes(
            [
                " ".join(text).encode()
                for text in (original, one_changed, half_changed, _text(generator, 400))
            ],
            chosen,
        )
        near.append(bool((hashes[0] == hashes[1]).any()))
        far.append(bool((hashes[0] == hashes[2]).any()))
        different.append(bool((hashes[0] == hashes[3]).any()))
    bands, rows = bands_and_rows(0.8)
    expected = 1 - (1 - 0.6**rows) ** bands
    assert sum(near) >= 199
    assert expected - 0.06 < sum(far) / 200 < expected + 0.08
    assert not any(different)


def test_an_empty_block_has_no_bands() -> None:
    assert band_hashes([], NearDuplicates()).shape == (0, bands_and_rows(0.8)[0])
    assert drop_near_duplicates(
        b"", band_hashes([], NearDuplicates()), SeenTexts(NearDuplicates()), "line"
    ) == (
        b"",
        0,
    )


def test_memory_is_bounded_and_what_was_forgotten_is_told() -> None:
    chosen = NearDuplicates(memory_mb=1)
    limit = (1 << 20) // BYTES_PER_HASH
    seen = SeenTexts(chosen)
    generator = np.random.default_rng(1)
    for _ in range(40):
        assert all(seen.first_time(generator.integers(0, 2**63, size=(500, 11), dtype=np.uint64)))
        assert len(seen) <= 2 * limit
    assert seen.forgotten + len(seen) == 40 * 500 * 11


def test_the_older_half_of_the_memory_is_known_too() -> None:
    """Half of the memory holds 32,768 hashes: the sixth of these blocks begins the second half, and none is forgotten."""
    seen = SeenTexts(NearDuplicates(memory_mb=1))
    generator = np.random.default_rng(1)
    blocks = [generator.integers(0, 2**63, size=(500, 11), dtype=np.uint64) for _ in range(8)]
    for block in blocks:
        assert sum(seen.first_time(block)) == 500
    assert sum(seen.first_time(blocks[0])) == 0
    assert seen.forgotten == 0


def test_near_duplicates_across_blocks_parts_and_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ligero.corpus.pipeline.BYTES_PER_PROCESS", 1)
    generator = random.Random(2)
    originals = [_text(generator, 60) for _ in range(40)]
    copies = [[*text[:30], "x", *text[31:]] for text in originals[:25]]
    paths = {}
    for name, texts in (("a", originals), ("b", copies)):
        paths[name] = tmp_path / name
        paths[name].write_text("\n\n".join(map(" ".join, texts)) + "\n", encoding="utf-8")
    written = {}
    for processes in (1, 2):
        out = tmp_path / str(processes)
        settings = Corpus(parts=tuple(paths), near_duplicates=NearDuplicates(similarity=0.7))
        written[processes] = clean_corpus(paths, out, settings, processes=processes, block_bytes=2000)
    assert written[1] == written[2]
    files = [CleanPaths(tmp_path / str(processes)).train.read_bytes() for processes in (1, 2)]
    assert files[0] == files[1]
    counts = written[1]["parts"]
    assert counts["a"]["dropped_lines"] == {"near_duplicate": 0}
    assert counts["b"]["dropped_lines"]["near_duplicate"] >= 24
    assert written[1]["near_duplicate_hashes_forgotten"] == 0
    kept = {tuple(document) for document in read_documents(CleanPaths(tmp_path / "1").train)}
    assert kept <= {(" ".join(text),) for text in [*originals, *copies]}
