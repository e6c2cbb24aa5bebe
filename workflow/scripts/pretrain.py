"""Pretrain one model from its token store: masked language modelling, for ALBERT with sentence-order prediction."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.settings import jobs
from ligero.settings.program import check_digest, job_arguments, load_resolved, refuse_unsound_data

INTERRUPTED = 75
"""Exit status after SIGTERM: temporary failure (EX_TEMPFAIL of sysexits.h); run again to continue."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    job_arguments(parser)
    parser.add_argument("--model", required=True, help="id of the model")
    parser.add_argument("--tokens", type=Path, required=True, help="token store")
    parser.add_argument("--tokenizer-dir", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    parser.add_argument(
        "--log-dir", type=Path, required=True, help="folder for metrics.jsonl and summary.json"
    )
    parser.add_argument(
        "--state", type=Path, required=True, help="folder of the running training's checkpoints"
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=1,
        help="of all processes that torchrun starts on this machine together",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--plan", action="store_true", help="estimate the cost on this device and stop")
    args = parser.parse_args()
    job = jobs.pretraining_job(load_resolved(args.config), args.model)
    check_digest(job, args.expect)
    refuse_unsound_data(args.config)

    from ligero.models.processor import use_processor
    from ligero.pretraining.cost_estimate import plan
    from ligero.pretraining.distributed import DistributedContext
    from ligero.pretraining.run import prepare, pretrain

    use_processor(max(1, args.threads // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))
    prepared = prepare(job, args.tokens, args.tokenizer_dir)
    placement = DistributedContext.from_environment(args.device)
    if args.plan:
        table = plan(prepared.model, job.recipe, prepared.source, placement)
        if placement.is_first:
            print(table)
        return 0
    if pretrain(prepared, args.tokenizer_dir, args.out, args.log_dir, args.state, placement):
        return 0
    if placement.is_first:
        print(f"{args.model}: stopped by a signal after a checkpoint; run the same command again to continue")
    return INTERRUPTED


if __name__ == "__main__":
    run_program(main)
