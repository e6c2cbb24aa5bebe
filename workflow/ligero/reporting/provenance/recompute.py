"""A number once more, by a path of its own: stored answers against gold labels with scikit-learn, seqeval and the text of SQuAD's script;
counts by the formulas of the architectures. Only the bootstrap of intervals is the one that made them: another one draws others."""

from __future__ import annotations

import re
import string
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

from ligero.common.errors import CombinedError, DataError, LigeroError
from ligero.common.files import read_json
from ligero.models import formulas
from ligero.reporting.provenance.chain import Chains
from ligero.reporting.provenance.records import Chain, Count, Measurement, Recomputed
from ligero.settings import plan
from ligero.settings.jobs import TaskSpec
from ligero.settings.models import Architecture
from ligero.settings.tasks import TaskType
from ligero.tasks.tagged_files import read_columns
from ligero.training.baselines import frequent_answers, frequent_tags, majority_class
from ligero.training.scoring import Examples, score_answered

CLOSE = 1e-9
"""Percent: sums of the same numbers in another order differ by less."""


class Recomputation:
    """Recomputes the numbers of a study; what several of them share is computed once."""

    def __init__(self, chains: Chains) -> None:
        self._chains, self._study = chains, chains.results.study
        self._examples: dict[tuple[str, str], Examples] = {}
        self._answers: dict[tuple[str | None, str | None, str], list[Any]] = {}
        self._metrics: dict[tuple[str | None, str | None, str], dict[str, float]] = {}

    def possible(self, chain: Chain) -> bool:
        """Whether there is a way to recompute the number."""
        return bool(chain.measurements or chain.counts) and chain.column != "bytes"

    def recompute(self, chain: Chain) -> Recomputed:
        """The number of a chain once more; files that changed since they were recorded are named, and so is any other figure.

        Raises:
            LigeroError: there is no way to recompute it.
        """
        if not self.possible(chain):
            raise LigeroError(f"{chain.table}, {chain.row}, {chain.column}: not recomputed: {chain.formula}")
        try:
            problems = self._problems(chain)
            printed = self._count(chain) if chain.counts else self._printed(chain, problems)
        except CombinedError as error:  # bad rows: of a file that changed no more than that need be said
            return Recomputed(None, False, self._problems(chain) or [str(error)])
        except DataError as error:
            return Recomputed(None, False, [*self._problems(chain), str(error)])
        if printed != chain.printed:
            problems.append(f"the table holds {chain.printed}, the files give {printed}")
        return Recomputed(printed, not problems, list(dict.fromkeys(problems)))

    def _problems(self, chain: Chain) -> list[str]:
        """Files that are not what was recorded."""
        found = []
        for one in chain.measurements:
            taught = one.teaching.logits if one.teaching else None
            if one.predictions and one.predictions.state in ("changed", "missing"):
                found.append(
                    f"{one.predictions.path}: {one.predictions.state} since it was scored. Score again: snakemake --forcerun score_systems"
                )
            if taught and taught.state in ("changed", "missing"):
                found.append(
                    f"{taught.path}: {taught.state} since the student learned from it. Make it again: snakemake --forcerun cache_logits cache_all_logits"
                )
        return found

    # --- scores -------------------------------------------------------------------------------------------------------

    def _printed(self, chain: Chain, problems: list[str]) -> str:
        values = []
        for one in chain.measurements:
            value = self._value(one)
            if abs(value - one.value) > CLOSE:
                problems.append(
                    f"{one.scores}: {one.name} on {one.task}: it holds {one.value!r}, its answers give {value!r}"
                )
            values.append(value)
        if chain.column.endswith("_interval"):
            return self._interval(chain.measurements[0])
        return two_decimals(sum(values) / len(values))

    def _value(self, one: Measurement) -> float:
        key = (one.regime, one.system, one.task)
        if key not in self._metrics:
            spec = TaskSpec.of(self._study.tasks[one.task])
            self._metrics[key] = _METRICS[spec.type](spec, self._given(one), self._of(one.task, "test"))
        return self._metrics[key][one.metric]

    def _interval(self, one: Measurement) -> str:
        stage = plan.stage_of(self._study, one.regime or "fine-tuning")
        spec = TaskSpec.of(self._study.tasks[one.task])
        scored = score_answered(spec, self._given(one), self._of(one.task, "test")).scored
        low, high = scored.intervals(stage.options.seed)[one.metric]
        return f"[{two_decimals(low)}, {two_decimals(high)}]"

    def _given(self, one: Measurement) -> list[Any]:
        """The answers that a system gave, in the order of the test split; of a baseline those that it gives."""
        key = (one.regime, one.system, one.task)
        if key not in self._answers:
            spec, test = TaskSpec.of(self._study.tasks[one.task]), self._of(one.task, "test")
            if one.predictions is None:
                self._answers[key] = _baseline(spec, self._of(one.task, "train"), test)
            elif spec.type == "token_classification":
                tags = [[tag for *_, tag in rows] for rows in read_columns(Path(one.predictions.path))]
                if [len(given) for given in tags] != [len(labels) for labels in test.columns["labels"]]:
                    raise DataError(one.predictions.path, None, "its sentences have other lengths than those of the test split.", "Score again: snakemake --forcerun score_systems.")  # fmt: skip
                self._answers[key] = tags
            else:
                by_id = read_json(Path(one.predictions.path))
                missing = [identity for identity in test.columns["id"] if identity not in by_id]
                if missing or len(by_id) != len(test):
                    raise DataError(one.predictions.path, None, f"it answers {len(by_id)} of {len(test)} test examples.", "Score again: snakemake --forcerun score_systems.")  # fmt: skip
                self._answers[key] = [by_id[identity] for identity in test.columns["id"]]
        return self._answers[key]

    def _of(self, task: str, split: str) -> Examples:
        if (task, split) not in self._examples:
            path = Path(self._chains.results.layout.examples(task, split))
            self._examples[task, split] = Examples.load(path, self._study.tasks[task].type)
        return self._examples[task, split]

    # --- counts -------------------------------------------------------------------------------------------------------

    def _count(self, chain: Chain) -> str:
        counts = [_counted(one) for one in chain.counts]
        if chain.column == "speedup_with_attention":
            half = len(counts) // 2
            return repr(sum(counts[-half:]) / sum(counts[:half]))
        if chain.column == "thesis_speedup" or (chain.column == "speedup" and chain.table == "summary"):
            own, reference = counts[0], counts[-1]
            if chain.column == "thesis_speedup" or self._thesis_arithmetic:
                own, reference = own // 10**7, reference // 10**7  # two decimals of a GMAC
            shown = reference * 100 // own
            return f"{shown // 100}.{shown % 100:02d}" + ("x" if chain.table == "summary" else "")
        if chain.column == "speedup":
            return repr(counts[-1] / counts[0])
        if chain.column == "parameters" and chain.table == "summary":
            unit, letter = (10**6, "M") if counts[0] >= 999_500 else (10**3, "K")
            return f"{(counts[0] + unit // 2) // unit}{letter}"
        return str(sum(counts))

    @cached_property
    def _thesis_arithmetic(self) -> bool:
        """Whether the summary divides as the thesis does: every system of the study takes a GMAC or more."""
        return all(cost["macs"] >= 10**9 for cost in self._chains.results.efficiency.values())


def two_decimals(value: float) -> str:
    """A figure as the tables print it: the binary noise off, then truncated."""
    return str(Decimal(repr(value)).quantize(Decimal("1e-9")).quantize(Decimal("0.01"), rounding=ROUND_DOWN))


def _classification(task: TaskSpec, given: list[Any], test: Examples) -> dict[str, float]:
    from sklearn.metrics import accuracy_score

    gold = [task.labels[label] for label in test.columns["label"]]
    return {"accuracy": 100 * float(accuracy_score(gold, given))}


def _tagging(task: TaskSpec, given: list[Any], test: Examples) -> dict[str, float]:
    from seqeval.metrics import f1_score
    from sklearn.metrics import accuracy_score

    gold = [[task.labels[label] for label in labels] for labels in test.columns["labels"]]
    words = [[tag for tags in sentences for tag in tags] for sentences in (gold, given)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one for each part-of-speech tag: "seems not to be NE tag"
        f1 = 100 * float(f1_score(gold, given, zero_division=0))
    return {"f1": f1, "accuracy": 100 * float(accuracy_score(*words))}


def _questions(task: TaskSpec, given: list[Any], test: Examples) -> dict[str, float]:
    """SQuAD's evaluate-v1.1 and MLQA's evaluation, step by step as they have it."""
    gold = [[answer["text"] for answer in answers] for answers in test.columns["answers"]]
    found: dict[str, float] = {}
    for prefix, normalized in (("", _squad), ("mlqa_", _mlqa)):
        exact = [
            max(normalized(answer) == normalized(text) for text in texts)
            for answer, texts in zip(given, gold, strict=True)
        ]
        f1 = [
            max(_f1(normalized(answer), normalized(text)) for text in texts)
            for answer, texts in zip(given, gold, strict=True)
        ]
        found |= {
            f"{prefix}exact_match": 100 * sum(exact) / len(exact),
            f"{prefix}f1": 100 * sum(f1) / len(f1),
        }
    return found


def _squad(answer: str) -> str:
    kept = "".join(character for character in answer.lower() if character not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", kept).split())


def _mlqa(answer: str) -> str:
    kept = "".join(
        character
        for character in answer.lower()
        if character not in string.punctuation and not unicodedata.category(character).startswith("P")
    )
    return " ".join(re.sub(r"\b(un|una|unos|unas|el|la|los|las)\b", " ", kept).split())


def _f1(answer: str, reference: str) -> float:
    one, other = answer.split(), reference.split()
    same = sum((Counter(one) & Counter(other)).values())
    if same == 0:
        return 0.0
    precision, recall = same / len(one), same / len(other)
    return 2 * precision * recall / (precision + recall)


_METRICS: dict[TaskType, Callable[[TaskSpec, list[Any], Examples], dict[str, float]]] = {
    "sequence_classification": _classification,
    "token_classification": _tagging,
    "question_answering": _questions,
}


def _baseline(task: TaskSpec, train: Examples, test: Examples) -> list[Any]:
    if task.type == "sequence_classification":
        return majority_class(task.labels, train, test)
    if task.type == "token_classification":
        return frequent_tags(task.labels, train, test)
    return frequent_answers(train, test)


def _counted(one: Count) -> int:
    """A count by the formulas of the architectures, where the table has what thop and torch counted on the built model."""
    shape, labels, length = (
        Architecture.model_validate(one.architecture),
        one.conditions["labels"],
        one.conditions["sequence_length"],
    )
    if one.what == "vocabulary_size":
        return shape.vocab_size or 0
    if one.what == "parameters":
        return formulas.parameters(shape, labels)
    return (
        formulas.macs(shape, labels, length) if one.what == "macs" else formulas.attention_macs(shape, length)
    )
