"""The token store holds the encoder's ids with documents and lines in their places, and refuses what is damaged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from ligero.common.errors import DataError
from ligero.corpus.token_store import SplitWriter, TokenStore, write_meta
from ligero.corpus.writing import TextWriter
from ligero.tokenizers.encode_corpus import encode_corpus
from ligero.tokenizers.fast_tokenizer import FAST_TOKENIZER_FILE, FastTokenizer, TokenizerInfo
from ligero.tokenizers.word_cache import id_dtype
from store_contenders import bench_store

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
    store = TokenStore.open(folder / "tokens", "train", verify=True)
    assert len(store) == len(DOCUMENTS)
    assert store.tokens.dtype == np.uint16
    for index, lines in enumerate(DOCUMENTS):
        ids = [encoder.encode(line) for line in lines]
        assert store.document(index).tolist() == [token for line in ids for token in line]
        assert [store.segment(segment).tolist() for segment in store.segments_of(index)] == ids
    assert len(store.segments) - 1 == sum(map(len, DOCUMENTS))
    assert len(TokenStore.open(folder / "tokens", "validation")) == 2


def test_wide_ids_and_empty_lines(tmp_path: Path) -> None:
    assert (id_dtype(65_535), id_dtype(65_536)) == ("<u2", "<u4")
    ids = np.array([70_000, 1, 2], dtype="<u4")
    with SplitWriter(tmp_path, "train", "<u4") as writer:
        # The first line and the whole second document have no tokens.
        writer.write(ids[:2].tobytes(), np.array([0, 2, 0]), np.array([0, 2]))
        writer.write(ids[2:].tobytes(), np.array([0, 1]), np.array([0]))
        description = writer.finish()
    write_meta(tmp_path, "<u4", {}, {"train": description})
    store = TokenStore.open(tmp_path, "train")
    assert [store.document(index).tolist() for index in range(len(store))] == [[70_000, 1], [2]]
    assert [list(store.segments_of(index)) for index in range(len(store))] == [[0], [1]]


def test_an_empty_split(tmp_path: Path) -> None:
    with SplitWriter(tmp_path, "validation", "<u2") as writer:
        description = writer.finish()
    write_meta(tmp_path, "<u2", {}, {"validation": description})
    store = TokenStore.open(tmp_path, "validation")
    assert len(store) == 0
    assert len(store.tokens) == 0


@pytest.mark.parametrize("name", ["train.bin", "train.documents.npy", "train.segments.npy"])
@pytest.mark.parametrize("damage", ["cut", "missing", "changed"])
def test_damage_is_refused(folder: Path, tmp_path: Path, name: str, damage: str) -> None:
    for file in (folder / "tokens").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    data = (tmp_path / name).read_bytes()
    if damage == "missing":
        (tmp_path / name).unlink()
    else:
        changed = data[:-3] if damage == "cut" else data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]
        (tmp_path / name).write_bytes(changed)
    with pytest.raises(DataError, match=rf"{name}.*Encode the corpus again"):
        TokenStore.open(tmp_path, "train", verify=damage == "changed")


def test_unknown_split_and_missing_store(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no split 'test'"):
        TokenStore.open(folder / "tokens", "test")
    with pytest.raises(DataError, match="no such file"):
        TokenStore.open(tmp_path, "train")


def test_store_names_its_vocabulary(folder: Path) -> None:
    meta = json.loads((folder / "tokens" / "store.json").read_text())
    assert meta["vocabulary"]["special"]["mask"] == 4
    assert meta["splits"]["train"]["documents"] == len(DOCUMENTS)


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
