"""Run one shard of a model's fine-tuning trials."""

from __future__ import annotations

import argparse

import _library  # noqa: F401
from _shards import run
from ligero.common.errors import run_program
from ligero.settings.program import shard_arguments


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    shard_arguments(parser)
    parser.add_argument("--model", required=True)
    args = parser.parse_args()
    run(args, "fine-tuning", args.model)


if __name__ == "__main__":
    run_program(main)
