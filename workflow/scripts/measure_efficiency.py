"""Count parameters, MACs and bytes of every system of the study, from architectures alone."""

from __future__ import annotations

import argparse

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.efficiency.records import write_efficiency
from ligero.efficiency.systems import sizes_for
from ligero.settings.jobs import efficiency_job
from ligero.settings.program import check_digest, load_resolved, measuring_arguments


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    measuring_arguments(parser)
    args = parser.parse_args()
    study = load_resolved(args.config)
    job = efficiency_job(study)
    check_digest(job, args.expect)
    sizes = sizes_for(study, args.results)

    from ligero.efficiency.macs import measure

    write_efficiency(args.out, measure(job, sizes))


if __name__ == "__main__":
    run_program(main)
