"""Run the distillation trials of one student and shard, from cached teacher logits."""

from __future__ import annotations

import argparse

import _library  # noqa: F401
from _shards import run
from ligero.common.errors import run_program
from ligero.settings.jobs import ShardJob
from ligero.settings.program import shard_arguments, teaching_arguments


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    shard_arguments(parser)
    parser.add_argument("--student", required=True, help="id of the student")
    teaching_arguments(parser)
    args = parser.parse_args()

    def objectives(job: ShardJob):  # type: ignore[no-untyped-def]  # its type would import torch
        from ligero.distillation.cached_objectives import CachedObjectives

        return CachedObjectives(job, args.logits_dir, args.encoded_dir, args.teachers_dir)

    run(args, "distillation", args.student, objectives)


if __name__ == "__main__":
    run_program(main)
