"""SQuAD v1.1 JSON (Rajpurkar et al. 2016), as MLQA, SQAC, SQuAD-es and XQuAD are published."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ligero.common.errors import DataError
from ligero.tasks.examples import Answer, QuestionExample
from ligero.tasks.readers.context import ReaderContext
from ligero.tasks.readers.lines import read_utf8

BYTE_ORDER_MARK = "\ufeff"


def read_squad(path: Path, context: ReaderContext) -> Iterator[QuestionExample]:
    """Read questions with their answers; the group is the article's title (its number where it has none).

    A byte order mark at the head of a context (XQuAD has two) is taken off and offsets are shifted; white space around
    an answer is taken off too. An empty answer text (SQuAD-es has some where alignment failed) is no answer: it is left
    out and counted, and so is a question that has no other.

    Raises:
        DataError: not SQuAD JSON, a question id twice, no answers at all, or an answer that is not at its offset.
    """
    seen: set[str] = set()
    for number, article in enumerate(_list(path, load_squad(path), "data", "top level")):
        title = str(article.get("title") or f"article-{number}") if isinstance(article, dict) else ""
        for paragraph in _list(path, article, "paragraphs", f"article '{title}'"):
            original = _text(path, paragraph, "context", f"article '{title}'")
            passage = original.removeprefix(BYTE_ORDER_MARK)
            shift = len(original) - len(passage)
            if shift:
                context.notes["contexts whose leading byte order mark was taken off"] += 1
            for entry in _list(path, paragraph, "qas", f"article '{title}'"):
                identity = _text(path, entry, "id", f"article '{title}'")
                if identity in seen:
                    raise DataError(
                        path, None, f"question id '{identity}' occurs twice.", "Give each its own id."
                    )
                seen.add(identity)
                question = _text(path, entry, "question", f"question '{identity}'")
                answers = _answers(path, entry, identity, passage, shift, context)
                if answers:
                    yield QuestionExample(identity, title, passage, question, answers)
                else:
                    context.left_out += 1
                    context.notes["questions left out because all their answers are empty"] += 1


def load_squad(path: Path) -> dict[str, Any]:
    """The JSON object of a SQuAD file.

    Raises:
        DataError: not UTF-8, or not JSON (with the line).
    """
    try:
        value = json.loads(read_utf8(path))
    except json.JSONDecodeError as error:
        raise DataError(
            path, error.lineno, f"not valid JSON: {error.msg}.", "Is the file truncated?"
        ) from error
    if not isinstance(value, dict):
        raise DataError(path, None, "expected a JSON object with the key 'data' (SQuAD v1.1).")
    return value


def reference_answers(path: Path) -> dict[str, list[str]]:
    """Question id to the texts of its answers, as published (for scoring; offsets are not looked at).

    Raises:
        DataError: not SQuAD JSON, a question id twice, or a question without answers.
    """
    references: dict[str, list[str]] = {}
    for article in _list(path, load_squad(path), "data", "top level"):
        for paragraph in _list(path, article, "paragraphs", "an article"):
            for entry in _list(path, paragraph, "qas", "a paragraph"):
                identity = _text(path, entry, "id", "a question")
                if identity in references:
                    raise DataError(
                        path,
                        None,
                        f"question id '{identity}' occurs twice.",
                        "Give each its own id: an answer is found by it.",
                    )
                answers = _list(path, entry, "answers", f"question '{identity}'")
                references[identity] = [
                    _text(path, answer, "text", f"question '{identity}'") for answer in answers
                ]
                if not answers:
                    raise DataError(
                        path, None, f"question '{identity}' has no answer.", "Remove the question."
                    )
    return references


def _answers(
    path: Path, entry: dict[str, Any], identity: str, passage: str, shift: int, context: ReaderContext
) -> tuple[Answer, ...]:
    answers = []
    listed = _list(path, entry, "answers", f"question '{identity}'")
    if not listed:
        raise DataError(
            path,
            None,
            f"question '{identity}' has no answer.",
            "SQuAD v1.1 expects at least one; remove the question.",
        )
    for given in listed:
        parts = given if isinstance(given, dict) else {}
        text, start = parts.get("text"), parts.get("answer_start")
        if not isinstance(text, str) or not isinstance(start, int):
            raise DataError(
                path, None, f"question '{identity}': an answer needs 'text' and an integer 'answer_start'."
            )
        if not text.strip().strip(BYTE_ORDER_MARK):
            context.notes["empty answers left out"] += 1
            continue
        start -= shift
        if start < 0 or passage[start : start + len(text)] != text:
            found = passage[max(start, 0) : max(start, 0) + len(text)]
            raise DataError(
                path,
                None,
                f"question '{identity}': answer {text!r} is not at answer_start {start + shift}, where the context has "
                f"{found!r}.",
                "Offsets count characters (not bytes) from the start of the context.",
            )
        trimmed = text.strip()
        answers.append(Answer(trimmed, start + text.index(trimmed)))
    return tuple(answers)


def _list(path: Path, value: Any, key: str, where: str) -> list[Any]:
    found = value.get(key) if isinstance(value, dict) else None
    if not isinstance(found, list):
        raise DataError(path, None, f"{where}: expected a list under '{key}'.", "The format is SQuAD v1.1.")
    return found


def _text(path: Path, value: Any, key: str, where: str) -> str:
    found = value.get(key) if isinstance(value, dict) else None
    if not isinstance(found, str):
        raise DataError(path, None, f"{where}: expected a text under '{key}'.", "The format is SQuAD v1.1.")
    return found
