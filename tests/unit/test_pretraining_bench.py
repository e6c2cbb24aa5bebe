"""The benchmark's peer gets rows as transformers' users build them, and both sides count real tokens."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench_pretraining
from ligero.corpus.token_store import TokenStore
from ligero.pretraining.vocabulary import Vocabulary
from pretraining_contenders import SIZES
from pretraining_text import padded_rows
from tests.builders.pretraining import write_store

LENGTH = 32


def places(text: list[int], part: Any) -> list[int]:
    """Where `part` stands in the text."""
    part = list(part)
    return [at for at in range(len(text)) if text[at : at + len(part)] == part]


def test_padded_rows_are_consecutive_lines_of_one_document(tmp_path: Path) -> None:
    tokens, tokenizer = write_store(tmp_path)
    store, vocabulary = TokenStore.open(tokens), Vocabulary.load(tokenizer)
    text = store.tokens.tolist()
    labels = set()
    for row in islice(padded_rows(store, vocabulary, LENGTH), 200):
        ids, types, mask = (np.array(row[name]) for name in ("input_ids", "token_type_ids", "attention_mask"))
        real = int(mask.sum())
        assert (
            len(ids) == len(types) == LENGTH
            and (mask[:real] == 1).all()
            and (ids[real:] == vocabulary.pad).all()
        )
        first, second = ids[1 : real - 1][types[1 : real - 1] == 0][:-1], ids[:real][types[:real] == 1][:-1]
        assert ids[0] == vocabulary.cls and ids[real - 1] == vocabulary.sep and len(first) and len(second)
        label = row["sentence_order_label"]
        labels.add(label)
        early, late = (second, first) if label else (first, second)
        pairs = [(at, after) for at in places(text, early) for after in places(text, late) if at < after]
        documents = np.searchsorted(store.documents, pairs, side="right")
        ends = np.searchsorted(store.documents, [after + len(late) - 1 for _, after in pairs], side="right")
        same = (documents[:, 0] == documents[:, 1]) & (documents[:, 1] == ends)
        assert same.any(), "a row runs from one document into the next, or its label is wrong"
    assert labels == {0, 1}


def test_where_a_segment_is_cut_does_not_tell_the_order(tmp_path: Path) -> None:
    """A segment that ends with its line looks finished: of swapped pairs as often in first place as of others."""
    tokens, tokenizer = write_store(tmp_path, documents=400)
    store, vocabulary = TokenStore.open(tokens), Vocabulary.load(tokenizer)
    text, starts = store.tokens.tolist(), set(store.segments.tolist())
    finished: dict[int, list[bool]] = {0: [], 1: []}
    for row in islice(padded_rows(store, vocabulary, 20), 3000):
        ids, types = np.array(row["input_ids"]), np.array(row["token_type_ids"])
        if not all(row["attention_mask"]):
            continue
        segment = ids[types == 0][1:-1].tolist()
        found = places(text, segment)
        finished[row["sentence_order_label"]].append(any(at + len(segment) in starts for at in found))
    shares = [np.mean(values) for values in finished.values()]
    assert min(map(len, finished.values())) > 300 and abs(shares[0] - shares[1]) < 0.1, shares


def test_a_document_gives_each_token_once(tmp_path: Path) -> None:
    """But for what a line longer than a row loses: here none is."""
    tokens, tokenizer = write_store(tmp_path, documents=1)
    store, vocabulary = TokenStore.open(tokens), Vocabulary.load(tokenizer)
    found, rows = 0, padded_rows(store, vocabulary, 128)
    while found < len(store):
        found += sum(next(rows)["attention_mask"]) - 3
    assert found == len(store)


@pytest.mark.parametrize(("slower", "expected"), [(True, ["fp32"]), (False, ["fp32", "bf16"])])
def test_bf16_is_measured_only_where_it_pays(
    slower: bool, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A processor without bf16 instructions takes ten times as long for a step as the peer; each precision has an aim."""
    monkeypatch.setattr("ligero.models.precision.bf16_is_slower", lambda device: slower)
    precisions = bench_pretraining.precisions_of_ours("cpu")
    assert precisions == expected
    assert all(set(precisions) <= set(SIZES[size].aims) for size in ("tiny", "base"))
