"""Score kept predictions again: `score.py qa` (SQuAD v1.1 and MLQA's Spanish rules) and `score.py tagging` (seqeval)."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import DataError, run_program
from ligero.tasks.bootstrap import paired_bootstrap
from ligero.tasks.lines import parse_json, read_whole
from ligero.tasks.metrics import Scored, score_answers, score_tagging
from ligero.tasks.readers.squad import reference_answers
from ligero.tasks.tagged_files import aligned_tags


def score_qa(args: argparse.Namespace, predictions: Path) -> Scored:
    wanted = reference_answers(args.references, args.unanswerable == "drop")
    given = parse_json(predictions, None, read_whole(predictions), Counter())
    if not isinstance(given, dict) or not all(isinstance(text, str) for text in given.values()):
        raise DataError(predictions, None, "expected a JSON object: question id to answer text.")
    missing = [identity for identity in wanted if identity not in given]
    if missing:
        print(
            f"{len(missing)} of {len(wanted)} questions have no prediction and count as wrong, the first is {missing[0]}",
            file=sys.stderr,
        )
    unknown = [identity for identity in given if identity not in wanted]
    if unknown:
        print(
            f"{predictions}: {len(unknown)} predictions for questions that {args.references} does not have are ignored, as in the "
            f"official script; the first is {unknown[0]}",
            file=sys.stderr,
        )
    return score_answers(wanted, {identity: text for identity, text in given.items() if identity in wanted})


def score_tags(args: argparse.Namespace, predictions: Path) -> Scored:
    keeps_ranges = args.multiword_ranges == "keep"
    gold, predicted = aligned_tags(args.references, predictions, keeps_ranges)
    if unknown := sorted(
        {tag for tags in predicted for tag in tags} - {tag for tags in gold for tag in tags}
    ):
        shown = ", ".join(unknown[:10]) + (f" and {len(unknown) - 10:,} more" if len(unknown) > 10 else "")
        print(f"warning: {predictions}: tags that {args.references} never has: {shown}", file=sys.stderr)
    return score_tagging(gold, predicted)


def printed_qa(metrics: dict[str, float]) -> dict[str, dict[str, float]]:
    """Figures by the script whose rules they follow."""
    names = ("exact_match", "f1")
    return {
        "squad": {name: metrics[name] for name in names},
        "mlqa_es": {name: metrics[f"mlqa_{name}"] for name in names},
    }


def printed_tags(metrics: dict[str, float]) -> dict[str, float]:
    return {name: metrics[name] for name in ("f1", "precision", "recall", "accuracy")}


def paired_tests(scored: Scored, other: Scored) -> dict[str, dict[str, float]]:
    """For each metric: first system minus second, its 95 % interval and p-value, over the same resampled examples."""
    return {
        name: asdict(paired_bootstrap(other.units, scored.units, statistic))
        for name, statistic in scored.statistics.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    for kind, score, shape, references, predictions in (
        ("qa", score_qa, printed_qa, "SQuAD v1.1 JSON", "JSON object: question id to answer text"),
        (
            "tagging",
            score_tags,
            printed_tags,
            "CoNLL columns, tag last (or CoNLL-U)",
            "CoNLL columns, predicted tag last",
        ),
    ):
        sub = kinds.add_parser(kind)
        sub.add_argument("--references", required=True, type=Path, help=references)
        sub.add_argument("--predictions", required=True, type=Path, help=predictions)
        sub.add_argument("--against", type=Path, help="another system's predictions, for a paired test")
        sub.set_defaults(score=score, shape=shape)
    kinds.choices["tagging"].add_argument(
        "--multiword-ranges",
        choices=("words", "keep"),
        default="words",
        help="CoNLL-U references: pass over ranges such as `1-2 del`, or keep them as words with the tag _ (as the task's setting "
        "multiword_ranges)",
    )
    kinds.choices["qa"].add_argument(
        "--unanswerable",
        choices=("refuse", "drop"),
        default="refuse",
        help="questions of the references without an answer (SQuAD 2.0): refuse the file, or leave them out",
    )
    args = parser.parse_args()
    if args.references.resolve() == args.predictions.resolve():
        print(
            f"warning: {args.predictions} is given as references and as predictions: all is right",
            file=sys.stderr,
        )
    scored: Scored = args.score(args, args.predictions)
    figures = args.shape(scored.metrics)
    if args.against:
        figures["against"] = paired_tests(scored, args.score(args, args.against))
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    run_program(main)
