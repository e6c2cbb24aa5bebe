"""The benchmark's peer gets rows as transformers' users build them, and both sides count real tokens."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np

from ligero.pretraining.bench_text import padded_rows
from ligero.pretraining.store import TokenStore
from ligero.pretraining.vocabulary import Vocabulary
from tests.unit.pretraining_toys import write_store

LENGTH = 32


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
        content = [*second, *first] if label else [*first, *second]
        places = [at for at in range(len(text)) if text[at : at + len(content)] == content]
        documents = np.searchsorted(store.documents, places, side="right")
        ends = np.searchsorted(store.documents, [at + len(content) - 1 for at in places], side="right")
        assert (documents == ends).any(), "a row runs from one document into the next"
    assert labels == {0, 1}


def test_a_document_gives_each_token_once(tmp_path: Path) -> None:
    """But for what a line longer than a row loses: here none is."""
    tokens, tokenizer = write_store(tmp_path, documents=1)
    store, vocabulary = TokenStore.open(tokens), Vocabulary.load(tokenizer)
    found, rows = 0, padded_rows(store, vocabulary, 128)
    while found < len(store):
        found += sum(next(rows)["attention_mask"]) - 3
    assert found == len(store)
