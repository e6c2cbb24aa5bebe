"""The real sentences that early exit is measured on: which lines they are from, and that no split sees another's."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

import early_exit_data
from early_exit_data import GENRES, genre_texts
from ligero.common.errors import DataError


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten paragraphs of each source: number 3 is said twice, number 5 is too short."""
    monkeypatch.setattr(early_exit_data, "PER_LABEL", {"train": 4, "validation": 2, "test": 2})
    for label, name in GENRES.items():
        lines = [
            f"El {label} tiene un párrafo con el número {n}, que es bastante largo. Y sigue."
            for n in range(10)
        ]
        lines[4], lines[5] = lines[3], "Corto."
        with lzma.open(tmp_path / name, "wt", encoding="utf-8") as handle:
            handle.write("\n\n".join(lines) + "\n")
    return tmp_path


def test_sentences_are_drawn_from_parts_of_their_own(raw: Path) -> None:
    splits = genre_texts(raw)
    numbers = {
        split: {
            label: sorted(int(text.split("número ")[1][0]) for text, of in rows if of == label)
            for label in GENRES
        }
        for split, rows in splits.items()
    }
    assert numbers == {
        "train": {key: [0, 1, 2, 3] for key in GENRES},
        "validation": {key: [6, 7] for key in GENRES},
        "test": {key: [8, 9] for key in GENRES},
    }
    assert all(text.endswith("es bastante largo.") for rows in splits.values() for text, _ in rows)
    assert genre_texts(raw) == splits


def test_too_few_sentences_are_an_error_that_says_how_many(
    raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(early_exit_data.PER_LABEL, "test", 3)
    with pytest.raises(DataError, match=r"laws_es\.txt\.xz: only 2 sentences for test, expected 3"):
        genre_texts(raw)
