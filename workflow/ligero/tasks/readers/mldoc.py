"""MLDoc (Schwenk and Li 2018): lists of document ids, whose texts and topics are in Reuters RCV2."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ligero.common.errors import DataError
from ligero.tasks.examples import ClassificationExample
from ligero.tasks.lines import filled_lines
from ligero.tasks.readers.context import ReaderContext
from ligero.tasks.readers.newsml import NewsDocument, find_documents

TOP_LEVEL_TOPICS = ("CCAT", "ECAT", "GCAT", "MCAT")
_ID = re.compile(r"(?P<folder>[^\s/-]+)-(?P<item>\d+)")
HOW_TO_OBTAIN = (
    "The texts of MLDoc are those of Reuters RCV2, which NIST hands out after an agreement "
    "(https://trec.nist.gov/data/reuters/reuters.html). Set the task's 'rcv_dir' to the folder that holds its Spanish "
    "XML files (REUTES1 to REUTES10), or name archives of them under 'documents'."
)


def read_mldoc(path: Path, context: ReaderContext) -> Iterator[ClassificationExample]:
    """Read the documents of an index file: text = headline and paragraphs, label = the top-level topic.

    Raises:
        DataError: a malformed or repeated id, a document that is not there, or one without exactly one top-level topic.
    """
    index: dict[str, tuple[int, tuple[str, str]]] = {}
    for line, text in filled_lines(path, context.notes):
        match = _ID.fullmatch(text.strip())
        if match is None:
            context.problems.add(path, line, f"expected an id such as REUTES7-70473, found {text!r}.")
            continue
        if match.group() in index:
            context.problems.add(
                path, line, f"id {match.group()} is here and on line {index[match.group()][0]}."
            )
            continue
        index[match.group()] = (line, (match["folder"], match["item"]))
    context.raise_problems()
    documents = find_documents((pair for _, pair in index.values()), context.archives, context.rcv_dir)
    missing = [identity for identity, (_, pair) in index.items() if pair not in documents]
    if missing:
        raise DataError(
            path,
            index[missing[0]][0],
            f"{len(missing)} of {len(index)} documents were not found, the first is {missing[0]}.",
            HOW_TO_OBTAIN,
        )
    for identity, (line, pair) in index.items():
        document = documents[pair]
        yield ClassificationExample(
            id=identity,
            group=identity,
            text=context.check_text(document.text),
            second_text=None,
            label=context.check_label(path, line, _top_level(path, line, identity, document), identity),
        )


def _top_level(path: Path, line: int, identity: str, document: NewsDocument) -> str:
    topics = sorted({code for code in document.topics if code in TOP_LEVEL_TOPICS})
    if len(topics) != 1:
        raise DataError(
            path,
            line,
            f"{identity} has the top-level topics {topics or 'none'}; MLDoc's documents have exactly one.",
            "Is it the right edition of RCV2?",
        )
    return topics[0]
