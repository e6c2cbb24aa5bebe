"""Logistic regression (scikit-learn) on features that no training changes, chosen on the validation split, and what it takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import Any

import numpy as np

from ligero.settings.jobs import TaskSpec
from ligero.tasks.records import ScoreRecord
from ligero.training.scoring import Examples, score_answered, score_record

MOST_EXAMPLES = 20_000
"""Of the training split; more are a sample, drawn by the seed. Beyond that such a model gains little and takes minutes."""
_TIMED = 50


def drawn_examples(count: int, seed: int) -> list[int]:
    """Rows of the training split that are learned from, in order."""
    return sorted(np.random.default_rng(seed).permutation(count)[:MOST_EXAMPLES].tolist())


def fitted(
    task: TaskSpec,
    seen: Any,
    labels: Sequence[int],
    unseen: Any,
    validation: Examples,
    strengths: Iterable[float],
) -> Any:
    """The model of the strength with the best validation score; on a tie, the one that comes first.

    Args:
        seen: features of the training examples, [examples, features], dense or sparse.
        labels: theirs, as places in `task.labels`.
        unseen: features of the validation examples.
        strengths: inverse strengths of regularisation.
    """
    from sklearn.linear_model import LogisticRegression

    models = [LogisticRegression(C=value, tol=1e-3, max_iter=300).fit(seen, labels) for value in strengths]

    def score(model: Any) -> float:
        answers = [task.labels[label] for label in model.predict(unseen).tolist()]
        return score_answered(task, answers, validation).score

    return max(models, key=score)


def scored(task_id: str, task: TaskSpec, found: Iterable[int], test: Examples, seed: int) -> ScoreRecord:
    """The score of labels, given as places in `task.labels`, on the test split."""
    return score_record(
        task_id, task, score_answered(task, [task.labels[label] for label in found], test), seed
    )


def milliseconds(predict: Callable[[Any], object], texts: Sequence[Any]) -> float:
    """Median processor time of one text, alone, over some of them."""
    times = []
    for text in texts[:_TIMED]:
        start = time.process_time()
        predict(text)
        times.append(time.process_time() - start)
    return round(1000 * median(times), 4)
