"""`ligero pack`: a finished study for others, as a Workflow Run RO-Crate."""

from __future__ import annotations

import argparse

from ligero.command.project import PROJECT
from ligero.command.systems import results_folder, study_of
from ligero.common.files import user_path
from ligero.reporting.crate import pack
from ligero.reporting.progress import Progress


def run(args: argparse.Namespace) -> int:
    """Write the crate and say what is in it."""
    folder = results_folder(args.results)
    progress = Progress(study_of(folder), folder, PROJECT)
    packed = pack(progress, user_path(args.out), PROJECT)
    print(
        f"{args.out}: {packed.files:,} files ({packed.bytes / 1e6:.1f} MB), {packed.sources} sources described, {packed.actions:,} jobs"
    )
    for task, licence in packed.withheld.items():
        print(f"  answers on {task} are left out: {licence}")
    return 0
