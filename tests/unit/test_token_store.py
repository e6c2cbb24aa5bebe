"""The token store holds the encoder's ids with documents and lines in their places, and refuses what is damaged."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, pre_tokenizers

from ligero.common.errors import DataError
from ligero.common.hashing import digest_file
from ligero.corpus.token_store import SplitWriter, StoreInfo, TokenStore, check_tokens, write_info
from ligero.corpus.writing import TextWriter
from ligero.tokenizers.encode_corpus import encode_corpus
from ligero.tokenizers.fast_tokenizer import FAST_TOKENIZER_FILE, FastTokenizer, TokenizerInfo
from ligero.tokenizers.word_cache import id_dtype
from store_contenders import _lines_and_sum, bench_store

DOCUMENTS = [
    ["el niño come", "y ríe"],
    ["la niña"],
    ["ella también , el niño y la niña", "come", "y ríe"],
] * 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("store")
    words = ["<s>", "</s>", "<pad>", "<unk>", "<mask>"]
    words += sorted({word for document in DOCUMENTS for line in document for word in line.split()})
    tokenizer = Tokenizer(
        models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    (root / "tokenizer").mkdir()
    tokenizer.save(str(root / "tokenizer" / FAST_TOKENIZER_FILE))
    special = {"cls": 0, "sep": 1, "pad": 2, "unk": 3, "mask": 4}
    TokenizerInfo("WordLevel", False, len(words), special, False, 0).write(root / "tokenizer")
    for split, documents in (("train", DOCUMENTS), ("validation", DOCUMENTS[:2])):
        (root / "clean").mkdir(exist_ok=True)
        with TextWriter(root / "clean" / f"{split}.txt.zst") as writer:
            writer.write([("\n".join(lines) + "\n").encode() for lines in documents])
    encode_corpus(root / "tokenizer", root / "clean", root / "tokens")
    return root


def test_documents_and_lines(folder: Path) -> None:
    encoder = FastTokenizer.load(folder / "tokenizer")
    store = TokenStore.open(folder / "tokens", "train")
    check_tokens(folder / "tokens")
    assert len(store.documents) - 1 == len(DOCUMENTS)
    assert store.tokens.dtype == np.uint16
    lines: list[list[int]] = []
    for index, document in enumerate(DOCUMENTS):
        ids = [encoder.encode(line) for line in document]
        assert store.document(index).tolist() == [token for line in ids for token in line]
        lines += ids
    assert [store.segment(index).tolist() for index in range(len(store.segments) - 1)] == lines
    assert len(store) == sum(map(len, lines)) == store.segments[-1]
    assert TokenStore.open(folder / "tokens", "validation").info.splits["validation"].documents == 2


def test_wide_ids_and_empty_lines(tmp_path: Path) -> None:
    assert (id_dtype(65_535), id_dtype(65_536)) == ("<u2", "<u4")
    ids = np.array([70_000, 1, 2], dtype="<u4")
    with SplitWriter(tmp_path, "train") as writer:
        # The first line and the whole second document have no tokens.
        writer.write(ids[:2].tobytes(), np.array([0, 2, 0]), np.array([0, 2]))
        writer.write(ids[2:].tobytes(), np.array([0, 1]), np.array([0]))
        info = writer.finish()
    write_info(tmp_path, "<u4", "", {"train": info})
    store = TokenStore.open(tmp_path, "train")
    assert [store.document(index).tolist() for index in range(2)] == [[70_000, 1], [2]]
    assert (store.documents.tolist(), store.segments.tolist()) == ([0, 2, 3], [0, 2, 3])


def test_an_empty_split(tmp_path: Path) -> None:
    with SplitWriter(tmp_path, "validation") as writer:
        info = writer.finish()
    write_info(tmp_path, "<u2", "", {"validation": info})
    store = TokenStore.open(tmp_path, "validation")
    assert len(store) == 0


@pytest.mark.parametrize("name", ["train.bin", "train.documents.npy", "train.segments.npy", "store.json"])
@pytest.mark.parametrize("damage", ["cut", "missing", "changed"])
def test_damage_is_refused(folder: Path, tmp_path: Path, name: str, damage: str) -> None:
    for file in (folder / "tokens").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    data = (tmp_path / name).read_bytes()
    if damage == "missing":
        (tmp_path / name).unlink()
    else:
        place = data.index(b"<u2") + 2 if name == "store.json" else len(data) - 9
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        (tmp_path / name).write_bytes(data[:-3] if damage == "cut" else changed)
    with pytest.raises(DataError, match=rf"{name}.*(Encode the corpus again|no such file)"):
        TokenStore.open(tmp_path, "train")
        check_tokens(tmp_path)


def test_unknown_split_and_missing_store(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no split 'test'"):
        TokenStore.open(folder / "tokens", "test")
    with pytest.raises(DataError, match="no such file"):
        TokenStore.open(tmp_path, "train")


def test_store_names_its_tokenizer(folder: Path) -> None:
    info = StoreInfo.read(folder / "tokens")
    assert info.tokenizer == digest_file(folder / "tokenizer" / "tokenizer_info.json")
    assert info.splits["train"].documents == len(DOCUMENTS)


def test_processes_do_not_change_the_store(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ligero.tokenizers.encode_corpus.BYTES_PER_PROCESS", 1)
    encode_corpus(folder / "tokenizer", folder / "clean", tmp_path / "two", processes=2)
    for file in (folder / "tokens").iterdir():
        assert (tmp_path / "two" / file.name).read_bytes() == file.read_bytes()


def test_benchmark_reads_what_the_store_holds(folder: Path, tmp_path: Path) -> None:
    random, in_order = bench_store(TokenStore.open(folder / "tokens", "train"), tmp_path, rounds=1, reads=50)
    assert (random.unit, in_order.unit) == ("lines/s, one core", "tokens/s, one core")
    assert random.ours > 0
    assert in_order.row()["ratio"] > 0


def test_both_sides_of_the_benchmark_read_as_many_pieces(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few long pieces are summed faster than many short ones: documents against lines were no comparison."""
    read: list[tuple[int, int]] = []

    def seen(pieces: Iterable[NDArray[Any]]) -> tuple[int, int]:
        read.append(_lines_and_sum(pieces))
        return read[-1]

    monkeypatch.setattr("store_contenders._lines_and_sum", seen)
    store = TokenStore.open(folder / "tokens", "train")
    bench_store(store, tmp_path, rounds=1, reads=50)
    lines, tokens = len(store.segments) - 1, int(store.tokens.sum(dtype=np.int64))
    assert read.count((lines, tokens)) == 4, "compared once and timed once, on both sides"
    assert [count for count, _ in read].count(50) == 4 and len(read) == 8
