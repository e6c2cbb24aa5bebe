"""SQuAD v1.1 JSON (Rajpurkar et al. 2016), as MLQA, SQAC, SQuAD-es and XQuAD are published; v2.0's without its unanswerable ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ligero.common.errors import DataError
from ligero.tasks.examples import Answer, QuestionExample
from ligero.tasks.lines import OF_ARRAY, Notes, parse_json, read_whole
from ligero.tasks.readers.context import EMPTY_ANSWERS, ReaderContext, content_group

BYTE_ORDER_MARK = "\ufeff"


def read_squad(path: Path, context: ReaderContext) -> Iterator[QuestionExample]:
    """Read questions with their answers; the group is the article's title (its first context where it has none).

    A byte order mark at the head of a context (XQuAD has two) is taken off and offsets are shifted; white space around
    an answer is taken off too. An empty answer text (SQuAD-es has some where alignment failed) is no answer: it is left
    out and counted, and so is a question that has no other. Questions without an answer (SQuAD 2.0) are left out and counted
    with `unanswerable: drop`, else refused.

    Raises:
        DataError: not SQuAD JSON, or a question id twice.
    """
    seen: set[str] = set()
    unanswerable: list[str] = []
    for article in _articles(path, context.notes):
        paragraphs = _list(path, article, "paragraphs", "an article")
        title = str(article.get("title") or "")
        for paragraph in paragraphs:
            original = _text(path, paragraph, "context", f"article '{title}'")
            title = title or content_group([original])
            passage = original.removeprefix(BYTE_ORDER_MARK)
            shift = len(original) - len(passage)
            if shift:
                context.notes["contexts whose leading byte order mark was taken off"] += 1
            for entry in _list(path, paragraph, "qas", f"article '{title}'"):
                identity = _id(path, entry, f"article '{title}'")
                if identity in seen:
                    raise DataError(
                        path, None, f"question id '{identity}' occurs twice.", "Give each its own id."
                    )
                seen.add(identity)
                question = _text(path, entry, "question", f"question '{identity}'")
                given = _given_answers(path, entry, identity)
                if not given:
                    unanswerable.append(identity)
                    continue
                answers = _answers(path, given, identity, passage, shift, context)
                if answers:
                    yield QuestionExample(
                        identity, title, context.check_text(passage), context.check_text(question), answers
                    )
                else:
                    context.left_out += 1
                    context.notes[EMPTY_ANSWERS] += 1
    if unanswerable and context.drops_unanswerable:
        context.left_out += len(unanswerable)
        context.notes["questions left out because they have no answer (unanswerable: drop)"] += len(
            unanswerable
        )
    elif unanswerable:
        context.problems.append(
            _refused(
                path,
                unanswerable,
                len(seen),
                "Write 'unanswerable: drop' in the task (of `ligero train` and `check` the option --unanswerable drop)",
            )
        )


def _articles(path: Path, notes: Notes) -> list[Any]:
    """The articles of a SQuAD file.

    Raises:
        DataError: not UTF-8, or not JSON (with the line).
    """
    value = parse_json(path, None, read_whole(path), notes)
    if not isinstance(value, dict) or "data" not in value:
        flat = "context" in str(value)[:10_000] and "answer_start" in str(value)[:10_000]
        raise DataError(
            path,
            None,
            "expected a JSON object with the key 'data' (SQuAD v1.1).",
            "It looks like the flat rows of the library datasets: group them as data > paragraphs > qas."
            if flat
            else f"Rows with texts and labels are JSON lines, with --text and --label. {OF_ARRAY}",
        )
    return _list(path, value, "data", "top level")


def reference_answers(path: Path, drops_unanswerable: bool = False) -> dict[str, list[str]]:
    """Question id to the texts of its answers, as published (for scoring; offsets are not looked at).

    Raises:
        DataError: not SQuAD JSON, a question id twice, or questions without answers that are not to be left out.
    """
    references: dict[str, list[str]] = {}
    unanswerable: dict[str, None] = {}
    for article in _articles(path, Counter()):
        for paragraph in _list(path, article, "paragraphs", "an article"):
            for entry in _list(path, paragraph, "qas", "a paragraph"):
                identity = _id(path, entry, "a question")
                if identity in references or identity in unanswerable:
                    raise DataError(
                        path,
                        None,
                        f"question id '{identity}' occurs twice.",
                        "Give each its own id: an answer is found by it.",
                    )
                given = _given_answers(path, entry, identity)
                if not given:
                    unanswerable[identity] = None
                    continue
                references[identity] = [
                    _text(path, answer, "text", f"question '{identity}'") for answer in given
                ]
    if unanswerable and not drops_unanswerable:
        number = len(references) + len(unanswerable)
        raise _refused(path, list(unanswerable), number, "Give --unanswerable drop")
    return references


def _given_answers(path: Path, entry: Any, identity: str) -> list[Any]:
    """The answers of a question; none where `is_impossible` of SQuAD 2.0 says that its context has none."""
    answers = _list(path, entry, "answers", f"question '{identity}'")
    return [] if entry.get("is_impossible") is True else answers


def _refused(path: Path, unanswerable: list[str], number: int, how: str) -> DataError:
    return DataError(
        path,
        None,
        f"{len(unanswerable):,} of {number:,} questions have no answer (SQuAD 2.0?), the first is '{unanswerable[0]}'.",
        f"{how} to leave them out, or remove them from the file.",
    )


def _answers(
    path: Path, entries: list[Any], identity: str, passage: str, shift: int, context: ReaderContext
) -> tuple[Answer, ...]:
    answers = []
    for entry in entries:
        parts = entry if isinstance(entry, dict) else {}
        text, start = parts.get("text"), parts.get("answer_start")
        if not isinstance(text, str) or not isinstance(start, int) or isinstance(start, bool):
            context.problems.add(
                path, None, f"question '{identity}': an answer needs 'text' and an integer 'answer_start'."
            )
            continue
        if not text.strip().strip(BYTE_ORDER_MARK):
            context.notes["empty answers left out"] += 1
            continue
        start -= shift
        if start < 0 or passage[start : start + len(text)] != text:
            found = passage[max(start, 0) : max(start, 0) + len(text)]
            misplaced = DataError(
                path,
                None,
                f"question '{identity}': answer {text!r} is not at answer_start {start + shift}, where the context has "
                f"{found!r}.",
                "Offsets count characters (not bytes) from the start of the context.",
            )
            context.problems.append(misplaced)
            continue
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


def _id(path: Path, value: Any, where: str) -> str:
    """The id of a question; numbers are ids too."""
    found = value.get("id") if isinstance(value, dict) else None
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    return _text(path, value, "id", where)
