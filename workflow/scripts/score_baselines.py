"""Score what needs no model on a task's test split: majority class, most frequent tag, most frequent answer."""

from __future__ import annotations

import argparse
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.common.files import write_json
from ligero.settings.program import load_resolved
from ligero.training.baselines import score_baseline


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, help="the study's resolved configuration")
    parser.add_argument("--task", required=True)
    parser.add_argument("--examples", type=Path, required=True, help="folder that prepare_task.py wrote")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    study = load_resolved(args.config)
    seed = study.fine_tuning.options.seed
    write_json(args.out, score_baseline(args.task, study.tasks[args.task], args.examples, seed))


if __name__ == "__main__":
    run_program(main)
