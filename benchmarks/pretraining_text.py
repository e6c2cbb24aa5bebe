"""Text for the benchmark of pretraining, and rows of it as transformers' users build them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from corpus_contenders import take_blocks
from ligero.common.errors import ConfigurationError
from ligero.corpus.pipeline import CleanPaths, clean_corpus
from ligero.corpus.token_store import TokenStore
from ligero.pretraining.vocabulary import Vocabulary
from ligero.settings.corpus import Corpus
from ligero.settings.tokenizers import Tokenizer
from ligero.synthetic.raw import MAKERS, corpus_text
from ligero.tokenizers.encode_corpus import encode_corpus
from ligero.tokenizers.training import train_tokenizer

SHORT_ROWS = 0.1
LONG = 3_000
"""Bytes of a document that fills a row of 512 tokens: of shorter ones, such as single sentences, most of the peer's row is padding."""
GENERATED_VOCABULARY = 1_000
"""The generator's words give no larger vocabulary."""


def write_store(texts: list[Path], folder: Path, vocabulary_size: int, megabytes: float) -> None:
    """Clean the long documents among some megabytes of `texts` (generated text where there are none), train a vocabulary and encode them.

    `folder` then holds tokenizer/ and tokens/.
    """
    raw = folder / "raw.txt"
    folder.mkdir(parents=True, exist_ok=True)
    if texts:
        documents = b"\n\n".join(take_blocks(texts, megabytes)).split(b"\n\n")
        documents = [document for document in documents if len(document) >= LONG]
        if not documents:
            raise ConfigurationError(
                f"--texts: none of the first {megabytes:g} MB is a document of {LONG:,} bytes (blank lines end documents); give other texts"
            )
        raw.write_bytes(b"\n\n".join(documents))
    else:
        vocabulary_size = min(vocabulary_size, GENERATED_VOCABULARY)
        generator, share = random.Random(42), int(megabytes * 1e6 / len(MAKERS))
        raw.write_text("\n".join(corpus_text(maker, share, generator) for maker, _ in MAKERS.values()))
    paths = CleanPaths(folder)
    clean_corpus({"text": raw}, folder, Corpus(parts=("text",)))
    settings = Tokenizer(kind="wordpiece", vocabulary_size=vocabulary_size)
    train_tokenizer(settings, paths.train, folder / "tokenizer")
    encode_corpus(folder / "tokenizer", paths.train.parent, folder / "tokens")


def padded_rows(
    store: TokenStore, vocabulary: Vocabulary, length: int, seed: int = 0
) -> Iterator[dict[str, Any]]:
    """Rows [CLS] A [SEP] B [SEP] padded to `length`, packed as ALBERT's create_pretraining_data.py packs them.

    Whole lines of one document are put together until a row is full, one row in ten only until a random shorter
    length; a random line starts B, half of the pairs are swapped, and only then what is too long is cut (`_shortened`). A
    document's last row is as long as what is left. A single line is halved, where Google's code takes B from another
    document.
    """
    generator = random.Random(seed)
    room = length - 3
    while True:
        # Shuffled, as corpora are trained on; a benchmark sees few rows, which must not all be of the first file.
        for place in generator.sample(range(len(store.documents) - 1), len(store.documents) - 1):
            first, last = store.documents[place : place + 2]
            low, high = np.searchsorted(store.segments, [first, last])
            lines = store.segments[low : high + 1].astype(np.int64)
            start = 0
            while start < len(lines) - 1:
                target = generator.randint(2, room) if generator.random() < SHORT_ROWS else room
                end = int(np.searchsorted(lines, lines[start] + target))
                end = min(max(end, start + 1), len(lines) - 1)
                begin, stop = int(lines[start]), int(lines[end])
                line = generator.randint(start + 1, max(start + 1, end - 1))
                middle = int(lines[line]) if line < end else (begin + stop) // 2
                segments = [store.tokens[begin:middle].tolist(), store.tokens[middle:stop].tolist()]
                swap = generator.random() < 0.5
                one, other = reversed(segments) if swap else segments
                yield _row(*_shortened(one, other, room, generator), vocabulary, length, swap)
                start = end


def _shortened(
    one: list[int], other: list[int], room: int, generator: random.Random
) -> tuple[list[int], list[int]]:
    """Two segments cut to `room` tokens together: a token at a time from the longer one, at its front or back by chance.

    After the swap: before it, only the text's last segment would be cut, and its missing full stop would tell the order.
    """
    kept = [[0, len(one)], [0, len(other)]]
    for _ in range(len(one) + len(other) - room):
        longer = kept[0] if kept[0][1] - kept[0][0] > kept[1][1] - kept[1][0] else kept[1]
        if generator.random() < 0.5:
            longer[0] += 1
        else:
            longer[1] -= 1
    return one[slice(*kept[0])], other[slice(*kept[1])]


def _row(one: list[int], other: list[int], vocabulary: Vocabulary, length: int, swap: bool) -> dict[str, Any]:
    ids = [vocabulary.cls, *one, vocabulary.sep, *other, vocabulary.sep]
    padding = [0] * (length - len(ids))
    return {
        "input_ids": ids + [vocabulary.pad] * len(padding),
        "attention_mask": [1] * len(ids) + padding,
        "token_type_ids": [0] * (len(one) + 2) + [1] * (len(other) + 1) + padding,
        "sentence_order_label": int(swap),
    }
