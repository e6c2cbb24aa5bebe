"""What needs no model: the answers that the training split alone suggests. The rows that every system must beat."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ligero.settings.jobs import TaskSpec
from ligero.training.ngram_baseline import score_ngrams
from ligero.training.records import BaselineRecord
from ligero.training.scoring import Examples, score_answered, score_record

NAMES = {
    "sequence_classification": "majority class",
    "token_classification": "most frequent tag of each word",
    "question_answering": "most frequent answer in the context",
}
ANSWERS_TRIED = 1000
"""Training answers looked for in a context, the most frequent first."""
OPENING_WORDS = 3
"""Words of the context's opening that answer a question whose context holds none of them."""


def score_baseline(task_id: str, task: TaskSpec, folder: Path, seed: int = 42) -> BaselineRecord:
    """Baseline of a task on its test split, as a score with a name.

    Args:
        folder: `R/tasks/TASK`.
        seed: of the intervals' bootstrap.
    """
    train = Examples.load(folder / "train.parquet", task.type)
    test = Examples.load(folder / "test.parquet", task.type)
    if task.type == "sequence_classification":
        answers: list[Any] = majority_class(task.labels, train, test)
    elif task.type == "token_classification":
        answers = frequent_tags(task.labels, train, test)
    else:
        answers = frequent_answers(train, test)
    record = score_record(task_id, task, score_answered(task, answers, test), seed)
    return BaselineRecord(name=NAMES[task.type], ngrams=score_ngrams(task_id, task, folder, seed), **record)


def majority_class(labels: Sequence[str], train: Examples, test: Examples) -> list[str]:
    """The most frequent training label for every test example; of equals the first in the label list."""
    counts = Counter(train.columns["label"])
    return [labels[_most_frequent(counts)]] * len(test)


def frequent_tags(labels: Sequence[str], train: Examples, test: Examples) -> list[list[str]]:
    """The tag that a word had most often in training (as written, else lower-cased); unseen words get the commonest tag."""
    as_written: defaultdict[str, Counter[int]] = defaultdict(Counter)
    lower_cased: defaultdict[str, Counter[int]] = defaultdict(Counter)
    overall: Counter[int] = Counter()
    for words, tags in zip(train.columns["words"], train.columns["labels"], strict=True):
        for word, tag in zip(words, tags, strict=True):
            as_written[word][tag] += 1
            lower_cased[word.lower()][tag] += 1
            overall[tag] += 1

    def tag_of(word: str) -> str:
        # Two tables: the organisation "Gobierno" says nothing about a "gobierno" that was seen itself.
        counts = as_written.get(word) or lower_cased.get(word.lower()) or overall
        return labels[_most_frequent(counts)]

    return [[tag_of(word) for word in words] for words in test.columns["words"]]


def frequent_answers(train: Examples, test: Examples) -> list[str]:
    """The most frequent training answer that occurs in the context; else the context's first words."""
    counts = Counter(answer["text"] for answers in train.columns["answers"] for answer in answers)
    ranked = sorted(counts, key=lambda text: (-counts[text], text))[:ANSWERS_TRIED]
    found: dict[str, str] = {}
    for context in test.columns["context"]:
        if context not in found:
            opening = " ".join(context.split()[:OPENING_WORDS])
            found[context] = next((text for text in ranked if _stands_in(text, context)), opening)
    return [found[context] for context in test.columns["context"]]


def _stands_in(text: str, context: str) -> bool:
    """Whether `text` occurs in `context` and cuts no word in two."""
    at = context.find(text) if text else -1
    while at >= 0:
        end = at + len(text)
        opens = at == 0 or not (context[at - 1].isalnum() and text[0].isalnum())
        if opens and (end == len(context) or not (context[end].isalnum() and text[-1].isalnum())):
            return True
        at = context.find(text, at + 1)
    return False


def _most_frequent(counts: Counter[int]) -> int:
    return min(counts, key=lambda key: (-counts[key], key))
