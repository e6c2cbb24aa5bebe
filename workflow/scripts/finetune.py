"""Run one shard of a model's fine-tuning trials."""

from __future__ import annotations

import argparse

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.settings import jobs
from ligero.settings.program import check_digest, load_resolved, shard_arguments


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    shard_arguments(parser)
    parser.add_argument("--model", required=True)
    args = parser.parse_args()
    study = load_resolved(args.config)
    job = jobs.shard_job(study, "fine-tuning", args.model, args.shard)
    check_digest(job, args.expect)

    import torch

    from ligero.training.identity import write_shard
    from ligero.training.shard import run_shard

    torch.set_num_threads(args.threads)
    results = run_shard(
        job,
        weights=args.weights,
        encoded_dir=args.encoded_dir,
        examples_dir=args.examples_dir,
        state_dir=args.state_dir,
        grid=jobs.trials_of(study, "fine-tuning", args.model),
    )
    write_shard(args.out, results)


if __name__ == "__main__":
    run_program(main)
