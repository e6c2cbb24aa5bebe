"""`ligero check`: what is wrong, or will go wrong, with a file of labelled examples."""

from __future__ import annotations

import argparse
import json
import sys
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from statistics import quantiles
from typing import Literal

from ligero.command.examples import UserData, words_of
from ligero.command.lengths import LENGTHS, Lengths
from ligero.command.planning import Weights
from ligero.common.files import user_path
from ligero.common.text import is_blank
from ligero.tasks.data_warnings import (
    RARE,
    absent_labels,
    ids_by_answer,
    labels_of,
    leak_warnings,
    mojibake,
    mojibake_warning,
    rare_labels,
    small_test,
)
from ligero.tasks.examples import Example, TaggingExample, content_key
from ligero.tasks.readers.context import EMPTY_ANSWERS, EMPTY_TEXTS, NO_TEXT
from ligero.tasks.splits import LoadedSplit, folded_content, leaks

SHOWN = 5
MISSING = (NO_TEXT | {"_", "na", "n/a", "?"}) - {"none"}
"""Labels that say that there is none; `none` may be a class."""


@dataclass(frozen=True)
class Finding:
    """One thing worth saying.

    Attributes:
        level: errors stop `train`; warnings and notes do not.
        where: ids of some of the examples, or labels.
    """

    level: Literal["error", "warning", "note"]
    what: str
    text: str
    where: list[str]


def run(args: argparse.Namespace) -> int:
    """Print the findings; 1 where one is an error."""
    data = UserData.of(args)
    splits = data.load()
    lengths, limit = None, LENGTHS[-1]
    if args.model:
        examples = [example for loaded in splits.values() for example in loaded.examples]
        model = user_path(args.model)
        lengths = Lengths.counted(examples, model)
        limit = min(limit, Weights("local", str(model)).shape("--model").positions)
    found = list(findings(data, splits, lengths, limit))
    if args.json:
        counts = {split: len(loaded.examples) for split, loaded in splits.items()}
        print(
            json.dumps(
                {"counts": counts, "labels": data.labels, "findings": [asdict(one) for one in found]},
                ensure_ascii=False,
            )
        )
    else:
        print(summary(data, splits))
        tell(found, sys.stdout)
    return int(any(one.level == "error" for one in found))


def summary(data: UserData, splits: dict[str, LoadedSplit]) -> str:
    """Counts of splits and labels in two lines."""
    counts = ", ".join(f"{split} {len(loaded.examples):,}" for split, loaded in splits.items())
    lines = [f"{data.files['train']}: {data.kind.replace('_', ' ')}; {counts}"]
    if data.labels:
        shown = [f"{label} {count:,}" for label, count in list(data.labels.items())[:12]]
        more = f" and {len(data.labels) - 12} more" if len(data.labels) > 12 else ""
        lines.append(f"{len(data.labels)} labels: {', '.join(shown)}{more}")
    return "\n".join(lines)


def tell(found: Iterable[Finding], stream: object) -> None:
    """One line for each finding, or that there is none."""
    lines = [
        f"{one.level}: {one.text}"
        + (
            f" ({', '.join(one.where[:SHOWN])}{', ...' if len(one.where) > SHOWN else ''})"
            if one.where
            else ""
        )
        for one in found
    ]
    print("\n".join(lines or ["nothing to say against it"]), file=stream)  # type: ignore[call-overload]


def findings(
    data: UserData, splits: dict[str, LoadedSplit], lengths: Lengths | None = None, limit: int = LENGTHS[-1]
) -> Iterator[Finding]:
    """Everything that is worth saying, errors first.

    Args:
        lengths: of the examples in the order of the splits; guessed where not given.
        limit: tokens that are read of an example.
    """
    examples = [example for loaded in splits.values() for example in loaded.examples]
    found = [
        *_missing_labels(data),
        *_labels(data, splits),
        *_readings(splits),
        *_texts(examples),
        *_mojibake(examples),
        *_repetitions(examples),
        *_leaks(splits),
        *_sizes(data, splits),
        *_lengths(data, examples, lengths or Lengths.guessed(examples), limit),
    ]
    order = ("error", "warning", "note")
    yield from sorted(found, key=lambda one: order.index(one.level))


def _readings(splits: dict[str, LoadedSplit]) -> Iterator[Finding]:
    """What the readers noticed of each file, once where several splits are cut from it; of texts that are empty `_texts` says more."""
    said = [sentence for loaded in splits.values() for sentence in loaded.warnings]
    said += [note for loaded in splits.values() for note in loaded.notes if note.endswith(EMPTY_ANSWERS)]
    for sentence in dict.fromkeys(sentence.partition(": ")[2] for sentence in said):
        if not sentence.endswith(EMPTY_TEXTS):
            yield Finding("warning", "reading", sentence, [])


def _missing_labels(data: UserData) -> Iterator[Finding]:
    """Labels that say that there is none."""
    if missing := [label for label in data.labels if label.lower() in MISSING]:
        count = sum(data.labels[label] for label in missing)
        sentence = f"{count:,} examples have a label that says that there is none; each is learned as a label of its own"
        yield Finding("warning", "missing_labels", sentence, missing)


def _labels(data: UserData, splits: dict[str, LoadedSplit]) -> Iterator[Finding]:
    if not data.labels:
        return
    labels = data.labels
    if data.kind == "sequence_classification":
        if len(data.labels) > sum(data.labels.values()) / 2:
            yield Finding(
                "error", "labels_like_texts",
                f"{len(data.labels):,} labels for {sum(data.labels.values()):,} examples: this column does not hold classes", [],
            )  # fmt: skip
            return
        if rare := rare_labels(data.labels, splits["train"]):
            yield _rare(rare, "training examples")
        for split, loaded in splits.items():
            if missing := absent_labels(data.labels, loaded):
                level: Literal["error", "warning"] = "error" if split == "train" else "warning"
                yield Finding(
                    level,
                    f"labels_not_in_{split}",
                    f"labels without an example in the split {split}",
                    missing,
                )
    else:
        labels = _types(data.labels)
        of = {split: _types(labels_of(loaded.examples)) for split, loaded in splits.items()}
        if rare := {label: count for label in labels if 0 < (count := of["train"][label]) < RARE}:
            yield _rare(rare, "words in train")
        for split, found in of.items():
            if missing := [label for label in labels if not found[label]]:
                sentence = f"labels without a word in the split {split}"
                yield Finding("warning", f"labels_not_in_{split}", sentence, missing)
    yield from _near_labels(labels)


def _types(tags: Iterable[str]) -> Counter[str]:
    """Types of entities, both of whose marks are one: they are learned together."""
    return Counter(tag.removeprefix("B-").removeprefix("I-") for tag in tags)


def _rare(labels: Mapping[str, int], what: str) -> Finding:
    counts = [f"{label}: {count}" for label, count in labels.items()]
    return Finding("warning", "rare_labels", f"{len(labels)} labels have fewer than {RARE} {what}", counts)


def _near_labels(labels: Counter[str]) -> Iterator[Finding]:
    """Labels that differ by case, accents, space or punctuation only, or by one letter."""
    folded: dict[str, list[str]] = defaultdict(list)
    for label in labels:
        folded[_fold(label)].append(label)
    for same in folded.values():
        if len(same) > 1:
            yield Finding(
                "warning",
                "near_labels",
                "labels that differ by case, accents, space or punctuation only",
                [repr(label) for label in same],
            )
    names = list(folded)
    for number, one in enumerate(names):
        for other in names[number + 1 :]:
            if (
                min(len(one), len(other)) >= 5
                and not any(map(str.isdigit, one + other))
                and _one_edit(one, other)
            ):
                yield Finding(
                    "warning",
                    "near_labels",
                    "labels that differ by one letter",
                    [folded[one][0], folded[other][0]],
                )


def _fold(label: str) -> str:
    plain = unicodedata.normalize("NFKD", label).casefold()
    return "".join(character for character in plain if character.isalnum()) or label


def _one_edit(one: str, other: str) -> bool:
    """Whether one letter was changed, added or left out."""
    if abs(len(one) - len(other)) > 1:
        return False
    start = next(
        (n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
    rests = (one[start:], other[start:])
    return rests[0][1:] in rests or rests[1][1:] == rests[0] or rests[0][1:] == rests[1][1:]


def _texts(examples: list[Example]) -> Iterator[Finding]:
    empty = [e.id for e in examples for text in content_key(e) if text is not None and is_blank(text)]
    if empty:
        what = "words" if isinstance(examples[0], TaggingExample) else "texts"
        yield Finding(
            "warning", "empty_texts", f"{len(empty):,} empty {what}", [f"id {identity}" for identity in empty]
        )


def _mojibake(examples: list[Example]) -> Iterator[Finding]:
    if found := mojibake(examples):
        yield Finding(
            "warning", "mojibake", mojibake_warning(found), [f"id {identity}" for identity in found]
        )


def _repetitions(examples: list[Example]) -> Iterator[Finding]:
    answers = ids_by_answer(examples, folded_content)
    repeated = [ids for by_answer in answers.values() for ids in by_answer.values() if len(ids) > 1]
    if repeated:
        extra = sum(len(ids) - 1 for ids in repeated)
        yield Finding(
            "warning", "repeated", f"{extra:,} examples repeat an earlier one, case and white space apart",
            [f"ids {'='.join(ids[:3])}" for ids in repeated],
        )  # fmt: skip
    torn = [by_answer for by_answer in answers.values() if len(by_answer) > 1]
    if torn:
        where = [
            "; ".join(f"{answer}: id {ids[0]}" for answer, ids in by_answer.items()) for by_answer in torn
        ]
        yield Finding(
            "warning",
            "contradictions",
            f"{len(torn):,} texts have more than one label",
            where if len(where[0]) < 200 else [],
        )


def _leaks(splits: dict[str, LoadedSplit]) -> Iterator[Finding]:
    for sentence in leak_warnings(splits, leaks(splits)):
        yield Finding("warning", "leak", f"{sentence}: scores will be too high", [])


def _sizes(data: UserData, splits: dict[str, LoadedSplit]) -> Iterator[Finding]:
    if small := small_test(data.task().metric, splits["test"]):
        yield Finding("note", "small_test", small, [])


def _lengths(data: UserData, examples: list[Example], lengths: Lengths, limit: int) -> Iterator[Finding]:
    """Lengths in tokens or, where these are guessed, in words; and which examples are cut."""
    counts = lengths.tokens if lengths.model else [words_of(example) for example in examples]
    what = f"tokens of {lengths.model}" if lengths.model else "words"
    middle, most = _quantiles(counts)
    sentence = f"{what}: median {middle}, 95 % at most {most}, longest {max(counts):,}"
    yield Finding("note", "lengths", sentence, [])
    if data.kind == "question_answering":  # read in windows that overlap, so nothing is cut
        return
    if long := [e.id for e, tokens in zip(examples, lengths.tokens, strict=True) if tokens > limit]:
        sure = (
            f"{len(long):,} examples have more than the {limit} tokens that are read; their ends are cut off"
        )
        guess = (
            f"{len(long):,} examples may have more than the {limit} tokens that are read, by their words and letters; "
            "ends would be cut off. `ligero check --model FOLDER` counts"
        )
        where = [f"id {identity}" for identity in long]
        yield Finding("warning", "too_long", sure if lengths.model else guess, where)


def _quantiles(lengths: list[int]) -> tuple[int, int]:
    if len(lengths) < 2:
        return lengths[0], lengths[0]
    cuts = quantiles(lengths, n=20, method="inclusive")
    return round(cuts[9]), round(cuts[18])
