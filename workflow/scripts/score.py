"""Score kept predictions again: `score.py qa` (SQuAD v1.1 and MLQA's Spanish rules) and `score.py tagging` (seqeval)."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import DataError, run_program
from ligero.common.files import read_json
from ligero.tasks.columns import aligned_tags
from ligero.tasks.metrics import mlqa_scores, seqeval_scores, squad_scores
from ligero.tasks.readers.squad import reference_answers


def score_qa(references: Path, predictions: Path) -> dict[str, dict[str, float]]:
    wanted = reference_answers(references)
    given = read_json(predictions)
    if not isinstance(given, dict) or not all(isinstance(text, str) for text in given.values()):
        raise DataError(predictions, None, "expected a JSON object: question id to answer text.")
    missing = [identity for identity in wanted if identity not in given]
    if missing:
        print(
            f"{len(missing)} of {len(wanted)} questions have no prediction and count as wrong, the first is {missing[0]}",
            file=sys.stderr,
        )
    return {"squad": squad_scores(wanted, given), "mlqa_es": mlqa_scores(wanted, given)}


def score_tagging(references: Path, predictions: Path) -> dict[str, float]:
    scores = seqeval_scores(*aligned_tags(references, predictions))
    return {name: scores[name] for name in ("f1", "precision", "recall", "accuracy")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    for kind, score, references, predictions in (
        ("qa", score_qa, "SQuAD v1.1 JSON", "JSON object: question id to answer text"),
        (
            "tagging",
            score_tagging,
            "CoNLL columns, tag last (or CoNLL-U)",
            "CoNLL columns, predicted tag last",
        ),
    ):
        sub = kinds.add_parser(kind)
        sub.add_argument("--references", required=True, type=Path, help=references)
        sub.add_argument("--predictions", required=True, type=Path, help=predictions)
        sub.set_defaults(score=score)
    args = parser.parse_args()
    print(json.dumps(args.score(args.references, args.predictions), indent=2))


if __name__ == "__main__":
    run_program(main)
