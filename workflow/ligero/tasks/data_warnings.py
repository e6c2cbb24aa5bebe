"""What a user should know about a task's data before anything is trained on it: leaks, texts without content, labels and test sets
that are too few to tell."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from functools import lru_cache

import ftfy

from ligero.settings.tasks import SPLITS, Task
from ligero.tasks.examples import ClassificationExample, Example, QuestionExample, TaggingExample, content_key
from ligero.tasks.metrics import chunks
from ligero.tasks.splits import LoadedSplit

RARE = 10
"""A label with fewer training examples is hardly learned."""
POINTS = 5.0
"""A test set that leaves a score more than this uncertain, in percentage points to each side, tells few systems apart."""


def warnings_of(
    task: Task, splits: Mapping[str, LoadedSplit], leaked: Mapping[str, Mapping[str, int]]
) -> list[str]:
    """Everything worth a warning, a sentence each; `leaked` as `ligero.tasks.splits.leaks` counts it."""
    small = small_test(task.metric, splits["test"])
    return [
        *leak_warnings(splits, leaked),
        *(warning for split in splits.values() for warning in split.warnings),
        *(
            f"{name}: {mojibake_warning(found)}"
            for name, split in splits.items()
            if (found := mojibake(split.examples))
        ),
        *_of_contradictions(splits["train"]),
        *_of_labels(task, splits),
        *([small] if small else []),
    ]


def leak_warnings(
    splits: Mapping[str, LoadedSplit], leaked: Mapping[str, Mapping[str, int]]
) -> Iterator[str]:
    """A sentence for each pair of splits and each way in which they share examples."""
    for pair, counts in leaked.items():
        first, second = pair.split("_")
        for kind, count in counts.items():
            if count:
                share = 100 * count / len(splits[second].examples)
                yield (
                    f"leak: {count:,} examples of {second} ({share:.1f} %) have the {kind.replace('_', ' ')} as one of {first}"
                )


def ids_by_answer(
    examples: Iterable[Example], key: Callable[[Example], Hashable] = content_key
) -> dict[Hashable, dict[str, list[str]]]:
    """Ids of the examples with the same text (`key`), by their labels or answers: repetitions share both, contradictions the text."""
    found: dict[Hashable, dict[str, list[str]]] = {}
    for example in examples:
        found.setdefault(key(example), {}).setdefault(_answer(example), []).append(example.id)
    return found


def _answer(example: Example) -> str:
    if isinstance(example, ClassificationExample):
        return example.label
    if isinstance(example, TaggingExample):
        return " ".join(example.labels)
    return "|".join(answer.text for answer in example.answers)


def mojibake(examples: Iterable[Example]) -> dict[str, tuple[str, str]]:
    """Examples whose text is UTF-8 that was decoded as another encoding: id to a word as it is, and as it was meant."""
    return {example.id: found for example in examples if (found := _first_repaired(content_key(example)))}


def mojibake_warning(found: Mapping[str, tuple[str, str]]) -> str:
    """What is wrong with texts that hold mojibake, by the first of them, and what to do."""
    word, meant = next(iter(found.values()))
    return f"{len(found):,} texts hold mojibake, UTF-8 decoded as another encoding: '{word}' for '{meant}'; export them as UTF-8 again"


def _first_repaired(texts: Iterable[str | None]) -> tuple[str, str] | None:
    """The first word of an example's texts that a repair changes."""
    for text in texts:
        if text and not text.isascii() and (repaired := _repaired(text)) != text:
            words = zip(text.split(), repaired.split(), strict=False)
            return next(((one, other) for one, other in words if one != other), None)
    return None


@lru_cache(maxsize=64)  # the questions of a context follow each other
def _repaired(text: str) -> str:
    return ftfy.fix_encoding(text)


def _of_contradictions(train: LoadedSplit) -> Iterator[str]:
    """Equal texts that are labelled differently: no model can learn both."""
    labelled = (example for example in train.examples if not isinstance(example, QuestionExample))
    if count := sum(len(found) > 1 for found in ids_by_answer(labelled).values()):
        yield f"train: {count:,} texts occur with different labels"


def _of_labels(task: Task, splits: Mapping[str, LoadedSplit]) -> Iterator[str]:
    for name in SPLITS:
        if absent := absent_labels(task.labels, splits[name]):
            yield f"{name}: no example of {', '.join(absent)}"
    if rare := rare_labels(task.labels, splits["train"]):
        shown = ", ".join(f"{label} ({count})" for label, count in rare.items())
        yield f"train: fewer than {RARE} examples of {shown}"


def absent_labels(labels: Iterable[str], split: LoadedSplit) -> list[str]:
    """Labels without an example in a split."""
    counts = Counter(labels_of(split.examples))
    return [label for label in labels if not counts[label]]


def rare_labels(labels: Iterable[str], train: LoadedSplit) -> dict[str, int]:
    """Labels with some training examples, but fewer than RARE, and how many they have."""
    counts = Counter(labels_of(train.examples))
    return {label: counts[label] for label in labels if 0 < counts[label] < RARE}


def labels_of(examples: list[Example]) -> Iterator[str]:
    """The label of each text, or of each word of tagged sentences."""
    for example in examples:
        if isinstance(example, ClassificationExample):
            yield example.label
        elif isinstance(example, TaggingExample):
            yield from example.labels


def small_test(metric: str, test: LoadedSplit) -> str | None:
    """That the test split is too small, by the 95 % interval of a share at its widest, for the decisions that the metric counts."""
    what, number = "examples", len(test.examples)
    tagged = [example.labels for example in test.examples if isinstance(example, TaggingExample)]
    if metric == "seqeval_f1":
        what, number = "entities", sum(map(len, chunks(tagged)))
    elif tagged:
        what, number = "words", sum(map(len, tagged))
    if not number:
        return f"test: no {what}, so that nothing can be scored"
    points = 100 * 1.96 * math.sqrt(0.25 / number)
    if points <= POINTS:
        return None
    return f"test: {number:,} {what} are few; a score is uncertain by up to {points:.0f} points to each side"
