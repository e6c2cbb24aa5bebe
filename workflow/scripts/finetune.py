"""Run one shard of a model's fine-tuning trials."""

from __future__ import annotations

import argparse
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.settings import jobs
from ligero.settings.program import check_digest, load_resolved


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, help="the study's resolved configuration")
    parser.add_argument("--model", required=True)
    parser.add_argument("--shard", type=int, required=True)
    parser.add_argument("--weights", type=Path, required=True, help="folder of the pretrained weights")
    parser.add_argument("--encoded-dir", type=Path, required=True, help="folder with the encoded tasks")
    parser.add_argument("--examples-dir", type=Path, required=True, help="folder with the prepared tasks")
    parser.add_argument("--state-dir", type=Path, required=True, help="kept between runs; finished trials")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--expect", help="digest of the settings that the workflow planned")
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
