"""One run at a time in a state folder.

A job that Slurm keeps running after its Snakemake died would otherwise share checkpoints and metrics with the one that the
next Snakemake submits.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ligero.common.errors import LigeroError
from ligero.common.locks import Claim

PATIENCE = 120.0
"""Seconds: a run that was told to stop still writes its checkpoint, and a network file system takes a while to miss a dead node."""


class StateInUseError(LigeroError):
    """Another run trains in this state folder."""


@contextmanager
def sole_run(state: Path, label: str) -> Iterator[None]:
    """Own the `state` folder until the block ends; where its file system knows no locks, say so and go on.

    Raises:
        StateInUseError: another run has owned it for `PATIENCE` seconds.
    """
    try:
        claim = _claimed(state / "run.lock", label)
    except OSError as error:
        print(
            f"{label}: {state} cannot be locked ({error}); see to it that no other run uses it",
            file=sys.stderr,
        )
        yield
        return
    with claim:
        yield


def _claimed(path: Path, label: str) -> Claim:
    deadline, said = time.monotonic() + PATIENCE, False
    while True:
        claim = Claim(path)
        if claim.try_take():
            return claim
        if time.monotonic() >= deadline:
            raise StateInUseError(
                f"{label}: another run trains in {path.parent} (it holds {path.name}). Wait for it or end it (squeue, scancel; "
                "ps on this machine), then start again to continue from its last checkpoint"
            )
        if not said:
            print(f"{label}: waiting for another run in {path.parent} to end", file=sys.stderr)
            said = True
        time.sleep(min(1.0, PATIENCE / 10))
