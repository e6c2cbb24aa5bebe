"""What a user would take instead of a language model: n-grams of words and characters with logistic regression (scikit-learn)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np

from ligero.settings.jobs import TaskSpec
from ligero.training.records import NgramsRecord
from ligero.training.scoring import Examples, score_answered, score_record

NAME = "n-grams, logistic regression"
MOST_EXAMPLES = 20_000
"""Of the training split; more are a sample, drawn by the seed. Beyond that such a model gains little and takes minutes."""
STRENGTHS = (1.0, 10.0)
"""Inverse strengths of regularisation, tried on the validation split."""
_TIMED = 50


def score_ngrams(task_id: str, task: TaskSpec, folder: Path, seed: int = 42) -> NgramsRecord | None:
    """Score n-grams with logistic regression on a classification task's test split; None on tasks of other types.

    Features are TF-IDF weights of one and two words and of two to five characters within words. A second text is read behind
    the first. The strength of regularisation is the one with the best validation score, the weakest that reaches it.

    Args:
        folder: `R/tasks/TASK`.
        seed: of the sample and of the interval's bootstrap.
    """
    if task.type != "sequence_classification":
        return None
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline, make_union

    splits = {
        name: Examples.load(folder / f"{name}.parquet", task.type) for name in ("train", "validation", "test")
    }
    texts = {name: _texts(examples) for name, examples in splits.items()}
    drawn = np.sort(np.random.default_rng(seed).permutation(len(texts["train"]))[:MOST_EXAMPLES])
    train = [texts["train"][row] for row in drawn.tolist()]
    labels = np.array(splits["train"].columns["label"])[drawn]
    if len(set(labels.tolist())) < 2:
        return None
    rarest = 2 if len(train) >= 1000 else 1
    features = make_union(
        TfidfVectorizer(token_pattern=r"\S+", ngram_range=(1, 2), sublinear_tf=True, dtype=np.float32),
        TfidfVectorizer(
            analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, dtype=np.float32, min_df=rarest
        ),
    )
    seen, unseen = features.fit_transform(train), features.transform(texts["validation"])
    models = [
        LogisticRegression(C=strength, tol=1e-3, max_iter=300).fit(seen, labels) for strength in STRENGTHS
    ]

    def score(found: Sequence[int], split: str) -> float:
        return score_answered(task, [task.labels[label] for label in found], splits[split]).score

    best = max(models, key=lambda model: score(model.predict(unseen).tolist(), "validation"))
    whole = make_pipeline(features, best)
    answers = [task.labels[label] for label in whole.predict(texts["test"]).tolist()]
    record = score_record(task_id, task, score_answered(task, answers, splits["test"]), seed)
    pieces = [piece for _, vectoriser in features.transformer_list for piece in vectoriser.vocabulary_]
    return NgramsRecord(
        name=NAME,
        trained_on=len(train),
        features=len(pieces),
        bytes=4 * (best.coef_.size + best.intercept_.size + len(pieces))
        + sum(len(piece.encode()) for piece in pieces),
        milliseconds=_milliseconds(whole.predict, texts["test"]),
        **record,
    )


def _texts(examples: Examples) -> list[str]:
    columns = examples.columns
    second = columns.get("second_text") or [None] * len(examples)
    return [f"{one}\n{other}" if other else one for one, other in zip(columns["text"], second, strict=True)]


def _milliseconds(predict: Callable[[list[str]], object], texts: Sequence[str]) -> float:
    """Median processor time of one text, alone, over some of them."""
    times = []
    for text in texts[:_TIMED]:
        start = time.process_time()
        predict([text])
        times.append(time.process_time() - start)
    return round(1000 * median(times), 4)
