"""Read one task's files as published and write its examples and what is to be known about them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import LigeroError, run_program
from ligero.settings import jobs
from ligero.settings.program import check_digest, job_arguments, load_resolved, note_soundness
from ligero.sources.checksums import SourcesLock, check_sources
from ligero.tasks.prepare import prepare_task


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    job_arguments(parser)
    parser.add_argument("--task", required=True, help="id of the task")
    parser.add_argument("--sources-dir", required=True, type=Path, help="folder of fetched sources")
    parser.add_argument("--out", required=True, type=Path, help="folder to write")
    parser.add_argument("--lock", type=Path, help="file of checksums recorded at first download")
    args = parser.parse_args()

    study = load_resolved(args.config)
    job = jobs.task_job(study, args.task)
    check_digest(job, args.expect)
    check_sources(job.sources, args.config.parent)
    mirror = Path(study.mirror) if study.mirror else None
    try:
        info = prepare_task(job, args.sources_dir, args.out, mirror)
    except LigeroError as error:
        # The user corrects them in the mirror; their first version must not be insisted on.
        if args.lock:
            named = [
                key
                for key, source in job.sources.items()
                if mirror and str(mirror / source.path) in str(error)
            ]
            SourcesLock(args.lock).forget(named)
        note_soundness(args.config, args.task, error)
        raise
    note_soundness(args.config, args.task, None)
    for warning in info["warnings"]:
        print(f"warning: {args.task}: {warning}", file=sys.stderr)
    for note in info["notes"]:
        print(f"{args.task}: {note}", file=sys.stderr)
    print(f"{args.task}: {info['counts']}", file=sys.stderr)


if __name__ == "__main__":
    run_program(main)
