"""Which cached teacher logit belongs to which token of the student: numpy only, done once before training.

- Classification: by example.
- Tagging: by word, whatever the vocabularies; with one vocabulary that is token by token. Words that either side cut away by
  truncation have no pair; they are masked and counted.
- Question answering, same vocabulary (the features are identical): token by token.
- Question answering, different vocabularies: windows are matched by character span (the teacher's window that shares most
  characters with the student's), tokens by `first_subword` or by `boundary`:
  - `first_subword` (the thesis): the first subword of a word takes the teacher's logits at the first subword of that word;
  - `boundary`: a token takes the start logit of the teacher's token that begins at the same character and the end logit of the
    one that ends there. Answers are cut at characters, so this keeps the ends of words, which the first variant loses.

What has no counterpart in question answering. A teacher token without one: its probability mass is dropped, the rest is
renormalised over the shared tokens. A student token without one, inside the text that the teacher's window covers (a later
subword): target probability 0, it stays in the student's softmax and learns to be unlikely. A student token that is not wholly
inside that text: unknown, it is taken out of the student's softmax, and so is what the teacher says of it (a window may begin
or end inside a word, so such a token may still share one of its two ends with a token of the teacher).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ligero.common.errors import MismatchError
from ligero.distillation.token_layout import Flags, Ints, TokenLayout, require_same_examples

AnswerAlignment = Literal["first_subword", "boundary"]


@dataclass(frozen=True)
class Pairs:
    """Tokens of the student and the teacher's entries that they take their logits from, ragged by student feature.

    Attributes:
        offsets: int64 [F + 1].
        positions: int32 [P], index of the token in the student's feature.
        sources: int64 [P], index into the flat entries of the teacher's layout.
    """

    offsets: Ints
    positions: Ints
    sources: Ints


@dataclass(frozen=True)
class Alignment:
    """How a student's features take their targets from a teacher's entries.

    Attributes:
        mode: example, token, word or boundary.
        pairs: one for the label distributions; for question answering two, start and end.
        known: int32 [F, 2], the student's positions [from, to) of context tokens that the teacher's window covers; None where
            it covers all (same vocabulary) or where the task has no windows.
        context: int32 [F, 2], the student's positions [from, to) of all context tokens; None where `known` is.
        counts: what was matched and what was not, for the trial's record.

    Raises:
        MismatchError: a pair on a token that the student's softmax leaves out: its loss would be infinite.
    """

    mode: str
    pairs: tuple[Pairs, ...]
    known: Ints | None
    context: Ints | None
    counts: dict[str, int]

    def __post_init__(self) -> None:
        for pairs in self.pairs:
            unknown = np.count_nonzero(~_is_known(pairs, self.known, self.context))
            if unknown:
                raise MismatchError(
                    f"alignment by {self.mode}: {unknown} targets are on tokens outside the text that the teacher saw; "
                    "drop them with `within_known` first"
                )


def align(
    student: TokenLayout,
    teacher: TokenLayout,
    task_type: str,
    same_vocabulary: bool,
    answers: AnswerAlignment = "first_subword",
) -> Alignment:
    """Pair the student's tokens with the teacher's entries.

    Args:
        same_vocabulary: the two sides have the same token ids in every feature; then the layouts must be equal.

    Raises:
        MismatchError: an example without logits, or layouts that differ in spite of one vocabulary.
    """
    require_same_examples(student, teacher, "alignment")
    if task_type == "sequence_classification":
        return _by_example(student, teacher)
    if task_type == "token_classification":
        return _by_word(student, teacher)
    if same_vocabulary:
        return _by_token(student, teacher)
    return _by_window(student, teacher, answers)


def _by_example(student: TokenLayout, teacher: TokenLayout) -> Alignment:
    order = np.argsort(teacher.examples, kind="stable")
    sources = order[np.searchsorted(teacher.examples[order], student.examples)]
    pairs = Pairs(student.offsets, student.positions, sources.astype(np.int64))
    return Alignment("example", (pairs,), None, None, {"matched": len(sources)})


def _by_token(student: TokenLayout, teacher: TokenLayout) -> Alignment:
    if not student.equals(teacher):
        raise MismatchError(
            "alignment: teacher and student have the same token ids, but other windows or character spans. "
            "Encode the task and build its logits again."
        )
    pairs = Pairs(student.offsets, student.positions, np.arange(student.entries))
    return Alignment("token", (pairs, pairs), None, None, {"matched": student.entries})


def _by_word(student: TokenLayout, teacher: TokenLayout) -> Alignment:
    span = 1 + max(int(student.words.max(initial=0)), int(teacher.words.max(initial=0)))
    ours = student.examples[student.features].astype(np.int64) * span + student.words
    theirs = teacher.examples[teacher.features].astype(np.int64) * span + teacher.words
    pairs = _match(student, ours, np.arange(student.entries), theirs, np.arange(teacher.entries))
    matched = len(pairs.sources)
    counts = {
        "matched": matched,
        "student_words_without_teacher": student.entries - matched,
        "teacher_words_without_student": int(teacher.entries - len(np.intersect1d(ours, theirs))),
    }
    return Alignment("word", (pairs,), None, None, counts)


def _by_window(student: TokenLayout, teacher: TokenLayout, answers: AnswerAlignment) -> Alignment:
    windows = _best_windows(student, teacher)
    chosen = windows[student.features]
    ours_cls, theirs_cls = student.starts < 0, teacher.starts < 0
    if answers == "first_subword":
        ours_kept, theirs_kept = _first_subwords(student), _first_subwords(teacher)
        columns = [(student.words, teacher.words)] * 2
    else:
        # A piece that is nothing but white space has an empty span: it neither begins nor ends an answer.
        ours_kept, theirs_kept = student.starts < student.ends, teacher.starts < teacher.ends
        columns = [(student.starts, teacher.starts), (student.ends, teacher.ends)]
    ours_kept, theirs_kept = ours_kept | ours_cls, theirs_kept | theirs_cls
    ours_index, theirs_index = np.flatnonzero(ours_kept), np.flatnonzero(theirs_kept)
    matches = []
    for number, (ours, theirs) in enumerate(columns):
        span = 2 + max(int(ours.max(initial=0)), int(theirs.max(initial=0)))
        ours_keys = chosen * span + np.where(ours_cls, 0, ours.astype(np.int64) + 1)
        theirs_keys = teacher.features * span + np.where(theirs_cls, 0, theirs.astype(np.int64) + 1)
        # Byte-level pieces of one character share a span: the first of them starts it, the last one ends it.
        step = -1 if number == 1 and answers == "boundary" else 1
        a, b = ours_index[::step], theirs_index[::step]
        matches.append(_match(student, ours_keys[a], a, theirs_keys[b], b))
    begins, ends = (spans[windows][student.features] for spans in _window_spans(teacher))
    context = _position_spans(student, ~ours_cls)
    known = _position_spans(student, ~ours_cls & (student.starts >= begins) & (student.ends <= ends))
    pairs = tuple(within_known(matched, known, context) for matched in matches)
    counts = {
        "matched": len(pairs[0].sources),
        "matched_ends": len(pairs[1].sources),
        "student_tokens": student.entries,
        "student_tokens_outside_teacher_window": int(
            student.entries - len(student) - np.maximum(known[:, 1] - known[:, 0], 0).sum()
        ),
    }
    return Alignment("word" if answers == "first_subword" else "boundary", pairs, known, context, counts)


def within_known(pairs: Pairs, known: Ints | None, context: Ints | None) -> Pairs:
    """The pairs on tokens that the student's softmax runs over: special tokens, and context tokens that the teacher saw."""
    kept = _is_known(pairs, known, context)
    offsets = np.concatenate([[0], np.cumsum(kept)])[pairs.offsets].astype(np.int64)
    return Pairs(offsets, pairs.positions[kept], pairs.sources[kept])


def _is_known(pairs: Pairs, known: Ints | None, context: Ints | None) -> Flags:
    """bool [P]."""
    if known is None or context is None:
        return np.ones(len(pairs.positions), bool)
    feature = np.repeat(np.arange(len(pairs.offsets) - 1), np.diff(pairs.offsets))
    at = pairs.positions
    is_context = (at >= context[feature, 0]) & (at < context[feature, 1])
    return ~is_context | ((at >= known[feature, 0]) & (at < known[feature, 1]))


def _match(
    student: TokenLayout, our_keys: Ints, our_index: Ints, their_keys: Ints, their_index: Ints
) -> Pairs:
    """Pair entries of equal key, in the student's order; of several with one key in a feature the first is taken."""
    known, first = np.unique(their_keys, return_index=True)
    place = np.minimum(np.searchsorted(known, our_keys), max(len(known) - 1, 0))
    found = np.flatnonzero(known[place] == our_keys) if len(known) else np.zeros(0, np.int64)
    entries, sources = our_index[found], their_index[first[place[found]]]
    # Several windows of the student may look into one of the teacher's: keys are unique in a feature only.
    in_feature = student.features[entries] * (np.int64(len(known)) + 1) + place[found]
    _, kept = np.unique(in_feature, return_index=True)
    entries, sources = entries[kept], sources[kept]
    order = np.argsort(entries)
    entries, sources = entries[order], sources[order]
    counts = np.bincount(student.features[entries], minlength=len(student))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return Pairs(offsets, student.positions[entries], sources.astype(np.int64))


def _first_subwords(layout: TokenLayout) -> Flags:
    """bool [N]: tokens that open their word. A window may begin inside a word, so the word's true start is looked up in all
    windows of the example: windows overlap, hence one of them holds it."""
    inside = np.flatnonzero(layout.words >= 0)
    span = 1 + int(layout.words.max(initial=0))
    keys = layout.examples[layout.features[inside]].astype(np.int64) * span + layout.words[inside]
    order = np.lexsort((layout.starts[inside], keys))
    _, first, group = np.unique(keys[order], return_index=True, return_inverse=True)
    earliest = np.empty(len(inside), np.int64)
    earliest[order] = layout.starts[inside][order][first][group]
    opens = np.zeros(layout.entries, bool)
    opens[inside] = layout.starts[inside] == earliest
    return opens


def _window_spans(layout: TokenLayout) -> tuple[Ints, Ints]:
    """First and last character of each window's context; an empty context has (0, 0)."""
    big = np.iinfo(np.int32).max
    context = layout.starts >= 0
    # Every feature has at least its [CLS] entry, so no segment of reduceat is empty.
    begins = np.minimum.reduceat(np.where(context, layout.starts, big), layout.offsets[:-1])
    ends = np.maximum.reduceat(np.where(context, layout.ends, 0), layout.offsets[:-1])
    return np.where(begins == big, 0, begins), ends


def _best_windows(student: TokenLayout, teacher: TokenLayout) -> Ints:
    """int64 [F], for each window of the student the teacher's window that shares most characters; the earlier one on ties."""
    order = np.argsort(teacher.examples, kind="stable")
    low = np.searchsorted(teacher.examples[order], student.examples, "left")
    high = np.searchsorted(teacher.examples[order], student.examples, "right")
    counts = high - low
    ours = np.repeat(np.arange(len(student)), counts)
    theirs = order[
        np.repeat(low, counts) + np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    ]
    (our_begin, our_end), (their_begin, their_end) = _window_spans(student), _window_spans(teacher)
    shared = np.minimum(our_end[ours], their_end[theirs]) - np.maximum(our_begin[ours], their_begin[theirs])
    ranked = np.lexsort((theirs, -shared, ours))
    return theirs[ranked][np.cumsum(counts) - counts].astype(np.int64)


def _position_spans(layout: TokenLayout, chosen: Flags) -> Ints:
    """int32 [F, 2]: positions [from, to) from the first to the last chosen entry of each feature; (0, 0) where there is none."""
    big = np.iinfo(np.int32).max
    first = np.minimum.reduceat(np.where(chosen, layout.positions, big), layout.offsets[:-1])
    last = np.maximum.reduceat(np.where(chosen, layout.positions + 1, 0), layout.offsets[:-1])
    return np.stack([np.where(last == 0, 0, first), last], axis=1).astype(np.int32)
