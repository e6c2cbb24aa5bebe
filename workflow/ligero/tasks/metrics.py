"""The metrics of the tasks, offline and equal to the official scripts. All results are percentages, unrounded.

Each metric is a function of per-example counts ("units"), summed over the examples; `bootstrap` resamples the same
units, so that a figure and its confidence interval cannot disagree.
"""

from __future__ import annotations

import re
import string
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ligero.common.errors import MismatchError
from ligero.tasks.bootstrap import bootstrap

Units = NDArray[np.float64]
"""Array [examples, counts]."""
Statistic = Callable[[Units], NDArray[np.float64]]
"""From summed counts [..., counts] to a percentage [...]."""

HEADLINE = {"accuracy": "accuracy", "seqeval_f1": "f1", "token_accuracy": "accuracy", "squad_f1": "f1"}
"""Key, among a task's metrics, of each setting `metric`."""


@dataclass(frozen=True)
class Scored:
    """All metrics of one system on one test set, with their units for confidence intervals and paired tests."""

    metrics: dict[str, float]
    units: Units
    statistics: dict[str, Statistic]

    def intervals(self, seed: int = 42) -> dict[str, tuple[float, float]]:
        """95 % confidence interval of each metric by bootstrap over the examples."""
        found = bootstrap(self.units, list(self.statistics.values()), seed=seed)
        return dict(zip(self.statistics, found, strict=True))


def _scored(units: Units, statistics: dict[str, Statistic]) -> Scored:
    sums = units.sum(axis=0)
    return Scored({name: float(statistic(sums)) for name, statistic in statistics.items()}, units, statistics)


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """100 * part / whole, and 0 where there is nothing to divide by."""
    return np.divide(100.0 * part, whole, out=np.zeros(np.shape(whole)), where=np.asarray(whole) != 0)


def _column_ratio(part: int, whole: int) -> Statistic:
    return lambda sums: _ratio(sums[..., part], sums[..., whole])


# --- classification ---------------------------------------------------------------------------------------------------


def score_classification(references: Sequence[int | str], predictions: Sequence[int | str]) -> Scored:
    """Accuracy of predicted labels."""
    if len(references) != len(predictions):
        raise MismatchError(f"{len(predictions)} predictions for {len(references)} examples")
    right = [reference == prediction for reference, prediction in zip(references, predictions, strict=True)]
    units = np.stack([np.array(right, dtype=np.float64), np.ones(len(right))], axis=1)
    return _scored(units, {"accuracy": _column_ratio(0, 1)})


# --- tagging ----------------------------------------------------------------------------------------------------------


Chunk = tuple[str, int, int]
"""(type, first word, last word); words are numbered through all sentences, with one place between two sentences."""


def chunks(sentences: Sequence[Sequence[str]]) -> list[set[Chunk]]:
    """The chunks that end in each sentence, exactly as seqeval 1.2.2 finds them by default.

    Follows conlleval: the first letter is the prefix, the rest (without a hyphen) the type. A chunk begins at B or S,
    after E or S, and wherever a type appears after another; plain UPOS tags are taken apart likewise, so that SCONJ
    and CCONJ get the same type CONJ, and a run of equal tags is mostly one chunk.

    seqeval joins all sentences, an O after each, and that shows: the tag X has the same (empty) type as O, so an X at
    a sentence's edge neither begins nor ends a chunk. Sentences are therefore read as one sequence here too.
    """
    prefix, kind, begin, position = "O", "", 0, 0
    found: list[set[Chunk]] = []
    for tags in sentences:
        ending: set[Chunk] = set()
        for tag in (*tags, "O"):
            next_prefix, next_kind = _parts(tag)
            if _ends(prefix, kind, next_prefix, next_kind):
                ending.add((kind, begin, position - 1))
            if _begins(prefix, kind, next_prefix, next_kind):
                begin = position
            prefix, kind, position = next_prefix, next_kind, position + 1
        found.append(ending)
    return found


@cache
def _parts(tag: str) -> tuple[str, str]:
    rest = tag[1:]
    return tag[0], (rest.split("-", 1)[-1] or "_")


def _ends(prefix: str, kind: str, next_prefix: str, next_kind: str) -> bool:
    """Whether a chunk ends between two neighbouring tags."""
    if prefix in "ES":
        return True
    if prefix in "BI" and next_prefix in "BSO":
        return True
    return prefix not in "O." and kind != next_kind


def _begins(prefix: str, kind: str, next_prefix: str, next_kind: str) -> bool:
    """Whether a chunk begins at the second of two neighbouring tags."""
    if next_prefix in "BS":
        return True
    if prefix in "ESO" and next_prefix in "EI":
        return True
    return next_prefix not in "O." and kind != next_kind


def score_tagging(references: Sequence[Sequence[str]], predictions: Sequence[Sequence[str]]) -> Scored:
    """Precision, recall and F1 over chunks (micro average) by seqeval, and accuracy over words.

    The units are the sufficient statistics of the same figures in each sentence, for intervals and paired tests; a test holds them
    equal to seqeval.

    Raises:
        MismatchError: another number of sentences, or of tags in one.
    """
    if len(references) != len(predictions):
        raise MismatchError(f"{len(predictions)} predicted sentences for {len(references)}")
    units = np.zeros((len(references), 5))
    chunked = zip(chunks(references), chunks(predictions), strict=True)
    for row, (gold, predicted) in enumerate(zip(references, predictions, strict=True)):
        if len(gold) != len(predicted):
            raise MismatchError(f"sentence {row + 1}: {len(predicted)} predicted tags for {len(gold)} words")
        gold_chunks, predicted_chunks = next(chunked)
        units[row] = (
            len(gold_chunks & predicted_chunks),
            len(predicted_chunks),
            len(gold_chunks),
            sum(one == other for one, other in zip(gold, predicted, strict=True)),
            len(gold),
        )
    statistics: dict[str, Statistic] = {
        "precision": _column_ratio(0, 1),
        "recall": _column_ratio(0, 2),
        "f1": lambda sums: _ratio(2 * sums[..., 0], sums[..., 1] + sums[..., 2]),
        "accuracy": _column_ratio(3, 4),
    }
    counted = _scored(units, statistics)
    if not references:
        return counted
    return replace(counted, metrics=counted.metrics | _by_seqeval(references, predictions))


def _by_seqeval(
    references: Sequence[Sequence[str]], predictions: Sequence[Sequence[str]]
) -> dict[str, float]:
    """Precision, recall and F1 over chunks, in percent, as seqeval gives them by default."""
    from seqeval.metrics.sequence_labeling import (
        precision_recall_fscore_support,
    )  # 1 s: it imports scikit-learn

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one for each part-of-speech tag: "seems not to be NE tag"
        precision, recall, f1, _ = precision_recall_fscore_support(
            [list(tags) for tags in references],
            [list(tags) for tags in predictions],
            average="micro",
            zero_division=0,
        )
    return {"precision": 100 * float(precision), "recall": 100 * float(recall), "f1": 100 * float(f1)}


# --- question answering -----------------------------------------------------------------------------------------------

_ENGLISH_ARTICLES = re.compile(r"\b(a|an|the)\b")
_SPANISH_ARTICLES = re.compile(r"\b(un|una|unos|unas|el|la|los|las)\b")
_ASCII_PUNCTUATION = str.maketrans("", "", string.punctuation)


class _PunctuationOff(dict[int, int | None]):
    """Table for str.translate: characters of a Unicode category P* and ASCII punctuation go, others stay.

    Filled as characters are met: going through all of Unicode first would cost every program half a second.
    """

    def __missing__(self, code: int) -> int | None:
        character = chr(code)
        off = character in string.punctuation or unicodedata.category(character).startswith("P")
        self[code] = None if off else code
        return self[code]


_ALL_PUNCTUATION = _PunctuationOff()


def normalize_squad(text: str) -> str:
    """SQuAD v1.1: lower case, ASCII punctuation off, English articles off, white space collapsed."""
    plain = text.lower().translate(_ASCII_PUNCTUATION)
    return " ".join(_ENGLISH_ARTICLES.sub(" ", plain).split())


def normalize_mlqa_es(text: str) -> str:
    """MLQA for Spanish: as SQuAD, but with all Unicode punctuation (¿ ¡ « » too) and the Spanish articles."""
    plain = text.lower().translate(_ALL_PUNCTUATION)
    return " ".join(_SPANISH_ARTICLES.sub(" ", plain).split())


def answer_scores(
    prediction: str, references: Sequence[str], normalize: Callable[[str], str]
) -> tuple[float, float]:
    """(exact match, F1) in [0, 1] of one answer: each the best over the references.

    As in the official script an answer without any token left has F1 0, even against an equally empty reference.
    """
    given = normalize(prediction)
    exact, f1 = 0.0, 0.0
    for reference in references:
        wanted = normalize(reference)
        exact = max(exact, float(given == wanted))
        f1 = max(f1, _token_f1(given.split(), wanted.split()))
    return exact, f1


def _token_f1(given: list[str], wanted: list[str]) -> float:
    shared = sum((Counter(given) & Counter(wanted)).values())
    if shared == 0:
        return 0.0
    precision, recall = shared / len(given), shared / len(wanted)
    return 2 * precision * recall / (precision + recall)


def score_answers(references: Mapping[str, Sequence[str]], predictions: Mapping[str, str]) -> Scored:
    """`exact_match` and `f1` as SQuAD v1.1, `mlqa_exact_match` and `mlqa_f1` with MLQA's Spanish normalisation.

    Args:
        references: question id to the texts of its answers.
        predictions: question id to answer; a question without one counts as wrong, as in the official scripts.

    Raises:
        MismatchError: a prediction for a question that does not exist.
    """
    unknown = [identity for identity in predictions if identity not in references]
    if unknown:
        raise MismatchError(f"{len(unknown)} predictions for unknown questions, the first is '{unknown[0]}'")
    units = np.zeros((len(references), 5))
    units[:, 4] = 1.0
    for row, (identity, texts) in enumerate(references.items()):
        if identity in predictions:
            given = predictions[identity]
            units[row, 0:2] = answer_scores(given, texts, normalize_squad)
            units[row, 2:4] = answer_scores(given, texts, normalize_mlqa_es)
    names = ("exact_match", "f1", "mlqa_exact_match", "mlqa_f1")
    return _scored(units, {name: _column_ratio(column, 4) for column, name in enumerate(names)})
