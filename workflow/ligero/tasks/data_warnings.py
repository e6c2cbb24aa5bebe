"""What a user should know about a task's data before anything is trained on it: leaks, texts without content, labels and test sets
that are too few to tell."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping

from ligero.settings.tasks import SPLITS, Task
from ligero.tasks.examples import ClassificationExample, Example, TaggingExample, content_key
from ligero.tasks.metrics import chunks
from ligero.tasks.splits import LoadedSplit

FEW = 10
"""A label with fewer training examples is hardly learned."""
POINTS = 5.0
"""A test set that leaves a score more than this uncertain, in percentage points to each side, tells few systems apart."""


def warnings_of(
    task: Task, splits: Mapping[str, LoadedSplit], leaked: Mapping[str, Mapping[str, int]]
) -> list[str]:
    """Everything worth a warning, a sentence each; `leaked` as `ligero.tasks.splits.leaks` counts it."""
    return [
        *_of_leaks(leaked),
        *(warning for name, split in splits.items() for warning in split.warnings),
        *_of_contradictions(splits["train"]),
        *_of_labels(task, splits),
        *_of_size(task, splits["test"]),
    ]


def _of_leaks(leaked: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    for pair, counts in leaked.items():
        first, second = pair.split("_")
        for kind, count in counts.items():
            if count:
                yield f"leak: {count:,} examples of {second} have the {kind.replace('_', ' ')} as one of {first}"


def _of_contradictions(train: LoadedSplit) -> Iterator[str]:
    """Equal texts that are labelled differently: no model can learn both."""
    labels: dict[object, set[object]] = {}
    for example in train.examples:
        if isinstance(example, ClassificationExample):
            labels.setdefault(content_key(example), set()).add(example.label)
        elif isinstance(example, TaggingExample):
            labels.setdefault(content_key(example), set()).add(example.labels)
    if count := sum(len(found) > 1 for found in labels.values()):
        yield f"train: {count:,} texts occur with different labels"


def _of_labels(task: Task, splits: Mapping[str, LoadedSplit]) -> Iterator[str]:
    counts = {name: Counter(_labels(splits[name].examples)) for name in SPLITS}
    for name in SPLITS if task.labels else ():
        if absent := [label for label in task.labels if not counts[name][label]]:
            yield f"{name}: no example of {', '.join(absent)}"
    rare = [
        f"{label} ({counts['train'][label]})" for label in task.labels if 0 < counts["train"][label] < FEW
    ]
    if rare:
        yield f"train: fewer than {FEW} examples of {', '.join(rare)}"


def _labels(examples: list[Example]) -> Iterator[str]:
    for example in examples:
        if isinstance(example, ClassificationExample):
            yield example.label
        elif isinstance(example, TaggingExample):
            yield from example.labels


def _of_size(task: Task, test: LoadedSplit) -> Iterator[str]:
    """The 95 % interval of a share at its widest, for the number of decisions that the metric counts."""
    what, number = "examples", len(test.examples)
    tagged = [example.labels for example in test.examples if isinstance(example, TaggingExample)]
    if task.metric == "seqeval_f1":
        what, number = "entities", sum(map(len, chunks(tagged)))
    elif tagged:
        what, number = "words", sum(map(len, tagged))
    points = 100 * 1.96 * math.sqrt(0.25 / number) if number else math.inf
    if not number:
        yield f"test: no {what}, so that nothing can be scored"
    elif points > POINTS:
        yield f"test: {number:,} {what} are few; a score is uncertain by up to {points:.0f} points to each side"
