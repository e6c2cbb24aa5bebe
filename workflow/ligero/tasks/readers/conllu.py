"""CoNLL-U (Universal Dependencies): ten tab-separated columns a word; the label is UPOS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ligero.tasks.examples import TaggingExample
from ligero.tasks.readers.context import ReaderContext, content_group
from ligero.tasks.sentences import read_treebank


def read_conllu(path: Path, context: ReaderContext) -> Iterator[TaggingExample]:
    """Read words and their UPOS.

    Where the file marks no documents (AnCora, GSD) each sentence is a group of its own. A document or a sentence without an id is
    named after its (first) words, so that others may come and go.
    """
    sentences = list(read_treebank(path, context.notes, context.problems, context.keeps_ranges))
    marked = any(sentence.document for sentence in sentences)
    groups: dict[int, str] = {}
    for number, sentence in enumerate(sentences):
        words = tuple(form for _, form, _ in sentence.rows)
        labels = tuple(context.check_label(path, line, upos, form) for line, form, upos in sentence.rows)
        if marked:
            group = groups.setdefault(sentence.document, sentence.document_id or content_group(words))
        else:
            group = sentence.identity or content_group(words)
        yield TaggingExample(sentence.identity or str(number), group, words, labels)
