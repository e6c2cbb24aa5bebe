"""From start and end logits of the windows of a question to its answer: SQuAD v1.1, where every question has one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class Window:
    """One window of a context: logits of each token, and which characters of the context each token covers.

    Args:
        start_logits: [tokens].
        end_logits: [tokens].
        starts: first character of each token in the context; -1 where the token is not of the context.
        ends: character after the last of each token; -1 likewise.
    """

    start_logits: NDArray[np.floating]
    end_logits: NDArray[np.floating]
    starts: NDArray[np.integer]
    ends: NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A span of the context, with its score (start logit + end logit)."""

    text: str
    start: int
    end: int
    score: float


def candidates(
    context: str, windows: Iterable[Window], n_best: int = 20, max_answer_length: int = 30
) -> list[Candidate]:
    """The best spans over all windows of one question, best first, at most `n_best`.

    In each window the `n_best` likeliest starts and ends are paired, and spans that end before they begin or exceed
    `max_answer_length` tokens are left out (Devlin et al. 2019). Unlike BERT's SQuAD script, which ranks all tokens first and then
    drops what lies outside the context, only the context's tokens are ranked: a confident [CLS] or question takes no place.
    Ties go to the earlier start, then the earlier end. A span that two windows see counts once, with its best score.
    """
    best: dict[tuple[int, int], float] = {}
    for window in windows:
        for start, end, score in _spans(window, n_best, max_answer_length):
            if score > best.get((start, end), -np.inf):
                best[start, end] = score
    ranked = sorted(best.items(), key=lambda item: (-item[1], item[0]))[:n_best]
    return [Candidate(context[start:end], start, end, score) for (start, end), score in ranked]


def _spans(window: Window, n_best: int, max_answer_length: int) -> Iterable[tuple[int, int, float]]:
    """(first character, character after the last, score) of a window's spans."""
    positions = np.flatnonzero(np.asarray(window.starts) >= 0)
    if not len(positions):
        return []
    start_logits = np.asarray(window.start_logits, dtype=np.float64)[positions]
    end_logits = np.asarray(window.end_logits, dtype=np.float64)[positions]
    firsts = positions[np.argsort(-start_logits, kind="stable")[:n_best]]
    lasts = positions[np.argsort(-end_logits, kind="stable")[:n_best]]
    length = lasts[None, :] - firsts[:, None] + 1
    scores = (
        np.asarray(window.start_logits, dtype=np.float64)[firsts][:, None]
        + np.asarray(window.end_logits, dtype=np.float64)[lasts][None, :]
    )
    rows, columns = np.nonzero((length >= 1) & (length <= max_answer_length) & np.isfinite(scores))
    found = zip(
        np.asarray(window.starts)[firsts[rows]].tolist(),
        np.asarray(window.ends)[lasts[columns]].tolist(),
        scores[rows, columns].tolist(),
        strict=True,
    )
    return [(start, end, score) for start, end, score in found if end > start]


def best_answer(
    context: str, windows: Iterable[Window], n_best: int = 20, max_answer_length: int = 30
) -> str:
    """The text of the best span; empty only where no span is allowed at all."""
    ranked = candidates(context, windows, n_best, max_answer_length)
    return ranked[0].text if ranked else ""


def predict_answers(
    contexts: Sequence[str],
    examples: ArrayLike,
    windows: Sequence[Window],
    n_best: int = 20,
    max_answer_length: int = 30,
) -> list[str]:
    """One answer for each context (row of the examples), from all windows of all questions.

    Args:
        contexts: context of each example.
        examples: row in `contexts` of each window, [windows].
        windows: in any order.
    """
    grouped: list[list[Window]] = [[] for _ in contexts]
    for row, window in zip(np.asarray(examples).tolist(), windows, strict=True):
        grouped[row].append(window)
    return [
        best_answer(context, own, n_best, max_answer_length)
        for context, own in zip(contexts, grouped, strict=True)
    ]
