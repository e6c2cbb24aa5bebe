"""What programs that run a shard of trials have in common: check the job, run its trials, write their results."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

import _library  # noqa: F401
from ligero.settings import jobs, plan
from ligero.settings.program import check_digest, load_resolved, refuse_unsound_data
from ligero.settings.study import Regime

if TYPE_CHECKING:
    from ligero.training.shard import Objectives


def run(
    args: argparse.Namespace,
    regime: Regime,
    model: str,
    objectives: Callable[[jobs.ShardJob], Objectives] | None = None,
) -> None:
    """Run a shard of a model's or student's trials; `args` are those of `shard_arguments`.

    Args:
        objectives: makes what the trials minimise; the gold labels where it is not given.
    """
    study = load_resolved(args.config)
    job = jobs.shard_job(study, regime, model, args.shard)
    check_digest(job, args.expect)
    refuse_unsound_data(args.config)

    from ligero.models.processor import use_processor
    from ligero.training.records import write_shard
    from ligero.training.shard import run_shard

    use_processor(args.threads)
    results = run_shard(
        job,
        weights=args.weights,
        encoded_dir=args.encoded_dir,
        examples_dir=args.examples_dir,
        state_dir=args.state_dir,
        objectives=objectives(job) if objectives else None,
        grid=plan.trials_of(study, regime, model),
    )
    write_shard(args.out, results)
