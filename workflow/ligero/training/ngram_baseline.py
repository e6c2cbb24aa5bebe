"""What a user would take instead of a language model: n-grams of words and characters with logistic regression (scikit-learn)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ligero.settings.jobs import TaskSpec
from ligero.training.logistic_regression import drawn_examples, fitted, milliseconds, scored
from ligero.training.records import NGRAMS, LogisticRegressionRecord
from ligero.training.scoring import Examples

STRENGTHS = (1.0, 10.0)
"""Inverse strengths of regularisation, tried on the validation split."""


def score_ngrams(
    task_id: str, task: TaskSpec, folder: Path, seed: int = 42
) -> LogisticRegressionRecord | None:
    """Score n-grams with logistic regression on a classification task's test split; None on tasks of other types.

    Features are TF-IDF weights of one and two words and of two to five characters within words. A second text is read behind
    the first. The strength of regularisation is the one with the best validation score, the strongest that reaches it.

    Args:
        folder: `R/tasks/TASK`.
        seed: of the sample and of the interval's bootstrap.
    """
    if task.type != "sequence_classification":
        return None
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline, make_union

    splits = {
        name: Examples.load(folder / f"{name}.parquet", task.type) for name in ("train", "validation", "test")
    }
    texts = {name: _texts(examples) for name, examples in splits.items()}
    drawn = drawn_examples(len(texts["train"]), seed)
    train = [texts["train"][row] for row in drawn]
    labels = [splits["train"].columns["label"][row] for row in drawn]
    if len(set(labels)) < 2:
        return None
    rarest = 2 if len(train) >= 1000 else 1
    features = make_union(
        TfidfVectorizer(token_pattern=r"\S+", ngram_range=(1, 2), sublinear_tf=True, dtype=np.float32),
        TfidfVectorizer(
            analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, dtype=np.float32, min_df=rarest
        ),
    )
    seen, unseen = features.fit_transform(train), features.transform(texts["validation"])
    best = fitted(task, seen, labels, unseen, splits["validation"], STRENGTHS)
    whole = make_pipeline(features, best)
    record = scored(task_id, task, whole.predict(texts["test"]).tolist(), splits["test"], seed)
    pieces = [piece for _, vectoriser in features.transformer_list for piece in vectoriser.vocabulary_]
    return LogisticRegressionRecord(
        name=NGRAMS,
        trained_on=len(train),
        features=len(pieces),
        bytes=4 * (best.coef_.size + best.intercept_.size + len(pieces))
        + sum(len(piece.encode()) for piece in pieces),
        milliseconds=milliseconds(lambda text: whole.predict([text]), texts["test"]),
        **record,
    )


def _texts(examples: Examples) -> list[str]:
    columns = examples.columns
    second = columns.get("second_text") or [None] * len(examples)
    return [f"{one}\n{other}" if other else one for one, other in zip(columns["text"], second, strict=True)]
