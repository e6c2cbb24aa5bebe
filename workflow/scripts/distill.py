"""Run the distillation trials of one student and shard, from cached teacher logits."""

from __future__ import annotations

import argparse
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.settings import jobs
from ligero.settings.program import check_digest, load_resolved


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, type=Path, help="resolved configuration")
    parser.add_argument("--student", required=True, help="id of the student")
    parser.add_argument("--shard", required=True, type=int, help="number of the shard")
    parser.add_argument(
        "--weights", required=True, type=Path, help="model folder that the student starts from"
    )
    parser.add_argument("--encoded-dir", required=True, type=Path, help="R/encoded/VOCABULARY of the student")
    parser.add_argument("--examples-dir", required=True, type=Path, help="R/tasks, the prepared tasks")
    parser.add_argument("--logits-dir", required=True, type=Path, help="R/logits")
    parser.add_argument("--state-dir", required=True, type=Path, help="R/state/distillation/STUDENT")
    parser.add_argument("--out", required=True, type=Path, help="R/trials/distillation/STUDENT/shard-N.json")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--expect", help="digest of the shard's settings, as planned")
    args = parser.parse_args()

    study = load_resolved(args.config)
    job = jobs.shard_job(study, "distillation", args.student, args.shard)
    check_digest(job, args.expect)

    import torch

    from ligero.distillation.cached_objectives import CachedObjectives
    from ligero.training.identity import write_shard
    from ligero.training.shard import run_shard

    torch.set_num_threads(args.threads)
    results = run_shard(
        job,
        weights=args.weights,
        encoded_dir=args.encoded_dir,
        examples_dir=args.examples_dir,
        state_dir=args.state_dir,
        grid=jobs.trials_of(study, "distillation", args.student),
        objectives=CachedObjectives(job, args.logits_dir, args.encoded_dir),
    )
    write_shard(args.out, results)


if __name__ == "__main__":
    run_program(main)
