"""The fast path of cleaning equals the plain reference, on any Unicode and on real text."""

from __future__ import annotations

import lzma
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ligero.corpus.cleaning import clean_documents, clean_line, is_listing, without_addresses
from ligero.corpus.fast_cleaning import _Letters, clean_block
from ligero.corpus.lengths import EDGES, document_lengths, histogram, line_lengths
from ligero.corpus.pipeline import CleanPaths, clean_corpus
from ligero.corpus.reading import read_blocks, read_documents
from ligero.settings.corpus import Cleaning, Corpus

WHITE_SPACE = "".join(
    chr(code) for code in range(sys.maxunicode) if chr(code).isspace() and chr(code) != "\n"
)
DIRT = [
    "https://www.ejemplo.es/a?b=c",
    "ejemplo.com/ver",
    "WWW.EJEMPLO.ES",
    "ana.gil@correo.es",
    "\n- ",
    "\n* ",
    "\n12. ",
    "\na) ",
    " | ",
    " > ",
    " » ",
    "\n\n",
    "  ",
    "\u00a0",
    "\u2003",
    "ÁÉÑÜ",
    "İΣΑΣ ",
    "…",
    "«sí»",
    "👍🏽",
    "e\u0301",
]
dirty_text = st.lists(
    st.one_of(
        st.sampled_from(DIRT),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
        st.text(alphabet="abcñÁ .-/@|»\n" + WHITE_SPACE, max_size=12),
    ),
    max_size=25,
).map("".join)
cleanings = st.builds(
    Cleaning,
    remove_urls=st.booleans(),
    remove_listings=st.booleans(),
    collapse_whitespace=st.sampled_from([True, True, True, False]),
    lower_case=st.booleans(),
    minimum_characters=st.sampled_from([0, 0, 3]),
)


@given(dirty_text, cleanings)
@settings(max_examples=300, deadline=None)
def test_fast_path_equals_reference(text: str, cleaning: Cleaning) -> None:
    block = (text + "\n").encode()
    cleaned = clean_block(block, cleaning)
    assert cleaned.text.decode() == clean_documents(text, cleaning)
    kept = [line for line in cleaned.text.decode().split("\n") if line]
    assert cleaned.statistics.clean.lines == len(kept)
    assert cleaned.statistics.clean.tokens == sum(len(line.split()) for line in kept)
    assert cleaned.statistics.clean.characters == sum(map(len, kept))
    raw = [line for line in text.split("\n") if line and not line.isspace()]
    assert cleaned.statistics.raw.lines == len(raw)
    assert cleaned.statistics.raw.tokens == sum(len(line.split()) for line in raw)
    assert cleaned.statistics.raw.characters == sum(map(len, text.split("\n")))
    dropped = sum(cleaned.statistics.dropped.values())
    assert dropped == len(raw) - len(kept)


@given(dirty_text)
@settings(max_examples=200, deadline=None)
def test_what_cleaning_promises(text: str) -> None:
    cleaned = clean_documents(text, Cleaning())
    assert not cleaned.startswith("\n") and "\n\n\n" not in cleaned
    lines = [line for line in cleaned.split("\n") if line]
    for line in lines:
        assert line == " ".join(line.split()) == line.lower()
        assert not is_listing(line)
    # Nothing is made up: with lower-casing alone, all that is left of a line stood in it, in order.
    kept = clean_documents(text, Cleaning(remove_urls=False, remove_listings=False, lower_case=False))
    assert kept.split() == text.split()


@given(dirty_text, st.integers(1, 400))
@settings(max_examples=60, deadline=None)
def test_any_unicode_passes_through_the_whole_stage(text: str, block_bytes: int) -> None:
    with TemporaryDirectory() as name:
        source, folder = Path(name) / "t.xz", Path(name) / "out"
        source.write_bytes(lzma.compress(f"ancla\n\n{text}\n\nfin\n".encode()))
        counts = clean_corpus(
            {"a": source}, folder, Corpus(parts=("a",), validation_share=0.0), block_bytes=block_bytes
        )["total"]
        documents = list(read_documents(CleanPaths(folder).train))
    expected = clean_documents(f"ancla\n\n{text}\n\nfin\n".removeprefix("\ufeff"), Cleaning())
    lines = [line for document in documents for line in document]
    assert lines == [line for line in expected.split("\n") if line]
    assert (counts["clean"]["lines"], counts["clean"]["characters"]) == (len(lines), sum(map(len, lines)))
    assert sum(entry["lines"] for entry in counts["line_length_histogram"]) == len(lines)
    assert (
        sum(entry["documents"] for entry in counts["document_length_histogram"])
        == counts["clean"]["documents"]
    )


def test_every_character_that_the_fast_path_handles_itself() -> None:
    # What the fast path believes to be caseless or no white space must be.
    characters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    encoded = [(character + " ").encode() for character in characters]
    places = np.cumsum([0, *map(len, encoded[:-1])])
    unknown = np.isin(places, _Letters.of(b"".join(encoded)).unknown())
    trusted = [c for c, u in zip(characters, unknown, strict=True) if not u and c != "\n"]
    assert 30_000 < len(trusted) < 60_000
    text = "\n".join(f"x{character}Y" for character in trusted)
    assert clean_block((text + "\n").encode(), Cleaning()).text.decode() == clean_documents(text, Cleaning())


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n")))
def test_order_of_white_space_and_the_other_steps_does_not_matter(line: str) -> None:
    cleaning = Cleaning()
    assert clean_line(" ".join(line.split()), cleaning) == clean_line(line, cleaning)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Más en https://www.ejemplo.es/a hoy", "Más en  hoy"),
        ("Más en noticias.ejemplo.org/ver123 .", "Más en  ."),
        ("Escribe a ana.gil@correo.es, por favor", "Escribe a , por favor"),
        ("Y/o 25 km/h en 1.500/2", "Y/o 25 km/h en 1.500/2"),
        ("Fin de frase.Otra", "Fin de frase.Otra"),
    ],
)
def test_addresses(line: str, expected: str) -> None:
    assert without_addresses(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "* pieza",
        "- leche",
        "3. pieza",
        "1.2) pieza",
        "a) pieza",
        "iv) pieza",
        "Inicio | Noticias | Ayuda",
        "• x",
    ],
)
def test_listings(line: str) -> None:
    assert is_listing(line)
    assert clean_line(line, Cleaning(remove_listings=False))[0] is not None


@pytest.mark.parametrize(
    "line",
    [
        "-¿Vienes?",
        "- ¿Vienes?",
        "—No lo sé.",
        "1990 fue un buen año",
        "Tiene 3. Y ya.",
        "a | b",
        "«dijo» y «fue» así",
    ],
)
def test_not_listings(line: str) -> None:
    assert not is_listing(line)


def test_what_spanish_needs_survives() -> None:
    assert clean_line("¿ÑANDÚ Y PINGÜINO? ¡SÍ!", Cleaning())[0] == "¿ñandú y pingüino? ¡sí!"
    assert clean_line("¿ÑANDÚ?", Cleaning(lower_case=False))[0] == "¿ÑANDÚ?"


@pytest.mark.parametrize("word", ["a.", "a@", "www.", "a/", "1.", "| ", "- ", "(", " "])
def test_long_lines_take_linear_time(word: str) -> None:
    # A regular expression that backtracks quadratically would take hours here.
    clean_line(word * 100_000 + "/x", Cleaning())


@given(st.lists(st.text(alphabet="añ👍", max_size=60), min_size=1))
def test_lengths_of_lines_and_documents(lines: list[str]) -> None:
    text = "".join(line + "\n" for line in lines)
    lengths = line_lengths(text.encode())
    assert lengths.tolist() == list(map(len, lines))
    documents = [document for document in re.split(r"\n{2,}", text.strip("\n")) if document]
    expected = [len(document.replace("\n", "")) for document in documents]
    assert document_lengths(lengths).tolist() == expected
    counts = histogram(lengths)
    assert counts.sum() == sum(map(bool, lines))
    for place, count in enumerate(counts.tolist()):
        end = EDGES[place + 1] if place + 1 < len(EDGES) else 1 << 40
        assert count == sum(EDGES[place] <= len(line) < end for line in lines)


def test_real_text(shared_data: Path) -> None:
    for name in ("elixirschool_es.txt.xz", "es.react.dev.txt.xz"):
        for block in read_blocks(shared_data / "raw" / name):
            assert clean_block(block, Cleaning()).text.decode() == clean_documents(block.decode(), Cleaning())
