"""Several teachers of one student: their targets averaged once, before training, in the student's own layout.

Labels: the weighted mean of the logits, which is the geometric mean of the teachers' distributions; a word that a teacher cut away
is averaged over the others. Start and end: the weighted arithmetic mean of the distributions, each normalised over the tokens
that the teacher shares with the student and that all teachers' windows cover; regression on logits (`mse`) has no use for the
logarithm of a mean probability, so there the logits themselves are averaged. Averaging teachers: Hinton et al. (2015),
section 1; You et al., "Learning from Multiple Teacher Networks" (KDD 2017), section 3.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ligero.distillation.alignment import Alignment, Pairs, within_known
from ligero.distillation.targets import CachedTargets, Logits
from ligero.distillation.token_layout import Flags, TokenLayout


def averaged(
    student: TokenLayout,
    alignments: Sequence[Alignment],
    logits: Sequence[Logits],
    weights: Sequence[float],
    kind: str = "kl",
) -> CachedTargets:
    """Targets of several teachers together; one teacher gives its own targets.

    Args:
        alignments: of the student with each teacher.
        logits: [N_k, C], the entries of teacher k.
        weights: one a teacher.
        kind: the loss that the targets are for.
    """
    if len(alignments) == 1:
        return CachedTargets(alignments[0], logits[0])
    distributions = len(alignments[0].pairs)
    known, context = _common_spans(alignments)
    columns, kept = [], []
    for number in range(distributions):
        # What one teacher did not see is outside the student's softmax: no teacher's mass may lie there.
        pairs = [within_known(a.pairs[number], known, context) for a in alignments]
        if distributions == 1:
            values, present = _mean_logits(student, pairs, logits, weights)
        else:
            combine = _mean_logits if kind == "mse" else _log_mean_probabilities
            values, present = combine(student, pairs, [v[:, number : number + 1] for v in logits], weights)
        columns.append(values)
        kept.append(present)
    joined = np.concatenate(columns, axis=1)
    counts = {
        f"teacher {number + 1} {name}": n
        for number, a in enumerate(alignments)
        for name, n in a.counts.items()
    }
    present_pairs = tuple(_present_pairs(student, present) for present in kept)
    return CachedTargets(Alignment("several teachers", present_pairs, known, context, counts), joined)


def student_entries(student: TokenLayout, pairs: Pairs) -> np.ndarray:
    """int64 [P]: index into the student's flat entries of every pair."""
    features = np.repeat(np.arange(len(student)), np.diff(pairs.offsets))
    span = int(student.positions.max(initial=0)) + 1
    # Entries are sorted by feature and position, so their keys are sorted.
    return np.searchsorted(student.features * span + student.positions, features * span + pairs.positions)


def _mean_logits(
    student: TokenLayout, pairs: Sequence[Pairs], logits: Sequence[Logits], weights: Sequence[float]
) -> tuple[Logits, Flags]:
    """[N, C] weighted mean over the teachers that have the entry, and which entries any of them has."""
    total = np.zeros((student.entries, logits[0].shape[1]), np.float32)
    share = np.zeros((student.entries, 1), np.float32)
    for pair, values, weight in zip(pairs, logits, weights, strict=True):
        entries = student_entries(student, pair)
        total[entries] += weight * values[pair.sources].astype(np.float32)
        share[entries] += weight
    present = share[:, 0] > 0
    return total / np.where(share > 0, share, 1.0), present


def _log_mean_probabilities(
    student: TokenLayout, pairs: Sequence[Pairs], logits: Sequence[Logits], weights: Sequence[float]
) -> tuple[Logits, Flags]:
    """[N, 1] log of the weighted mean of the windows' distributions, whose logits are [N_k, 1], and which entries any
    teacher has."""
    total = np.zeros(student.entries, np.float64)
    present = np.zeros(student.entries, bool)
    for pair, values, weight in zip(pairs, logits, weights, strict=True):
        entries = student_entries(student, pair)
        scores = values[pair.sources, 0].astype(np.float64)
        counts = np.diff(pair.offsets)
        # [CLS] always has its counterpart, so no window is empty.
        highest = np.repeat(np.maximum.reduceat(scores, pair.offsets[:-1]), counts)
        powers = np.exp(scores - highest)
        total[entries] += weight * powers / np.repeat(np.add.reduceat(powers, pair.offsets[:-1]), counts)
        present[entries] = True
    logarithm = np.log(np.maximum(total, np.finfo(np.float32).tiny)).astype(np.float32)
    return logarithm[:, None], present


def _present_pairs(student: TokenLayout, present: Flags) -> Pairs:
    """Pairs of the student's entries with themselves, those that any teacher has."""
    sources = np.flatnonzero(present)
    counts = np.bincount(student.features[sources], minlength=len(student))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return Pairs(offsets, student.positions[sources], sources)


def _common_spans(alignments: Sequence[Alignment]) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Context positions that every teacher's window covers; a teacher of the student's vocabulary covers all."""
    partial = [a for a in alignments if a.known is not None and a.context is not None]
    if not partial:
        return None, None
    known = np.stack([a.known for a in partial])  # type: ignore[misc]
    low, high = known[:, :, 0].max(axis=0), known[:, :, 1].min(axis=0)
    return np.stack([low, np.maximum(low, high)], axis=1).astype(np.int32), partial[0].context
