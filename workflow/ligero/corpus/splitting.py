"""Which documents are kept out of pretraining: decided by each document's own text."""

from __future__ import annotations

import xxhash

LONGEST_DOCUMENT_BYTES = 1 << 20
"""A run of text without a blank line is cut here, so that corpora without documents have a validation share too."""


def cut_documents(text: bytes) -> list[bytes]:
    """Documents of clean text, each with its line feeds; those over a MiB are cut between lines."""
    documents = []
    for document in text.strip(b"\n").split(b"\n\n") if text else []:
        rest = document + b"\n"
        while len(rest) > LONGEST_DOCUMENT_BYTES:
            end = rest.rfind(b"\n", 0, LONGEST_DOCUMENT_BYTES) + 1 or rest.find(b"\n") + 1
            documents.append(rest[:end])
            rest = rest[end:]
        if rest:
            documents.append(rest)
    return documents


def rank(document: bytes, seed: int) -> float:
    """A number in [0, 1) drawn from the text, so that copies of a document always fall on the same side."""
    return xxhash.xxh3_64_intdigest(document, seed=seed) / 2**64


def split_documents(documents: list[bytes], share: float, seed: int) -> tuple[list[bytes], list[bytes]]:
    """(training, validation) documents: those of rank below `share` are for validation."""
    training: list[bytes] = []
    validation: list[bytes] = []
    for document in documents:
        (validation if rank(document, seed) < share else training).append(document)
    return training, validation
