"""Measure the latency of every system of the study on the present device."""

from __future__ import annotations

import argparse

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.efficiency.records import write_speed
from ligero.efficiency.systems import sizes_for
from ligero.settings.jobs import speed_job
from ligero.settings.program import check_digest, load_resolved, measuring_arguments


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    measuring_arguments(parser)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of a forward pass")
    args = parser.parse_args()
    study = load_resolved(args.config)
    job = speed_job(study)
    check_digest(job, args.expect)
    sizes = sizes_for(study, args.results)

    import torch

    from ligero.efficiency.speed import measure

    torch.set_num_threads(args.threads)
    write_speed(args.out, measure(job, sizes))


if __name__ == "__main__":
    run_program(main)
