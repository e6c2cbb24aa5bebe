"""How programs get their settings: the resolved configuration, and the digest that the workflow planned them with."""

from __future__ import annotations

from pathlib import Path

from ligero.common.errors import MismatchError
from ligero.common.files import read_json
from ligero.settings.base import Settings
from ligero.settings.jobs import digest
from ligero.settings.study import Study


def load_resolved(path: Path | str) -> Study:
    """Read the resolved configuration that the workflow wrote when it started."""
    return Study.model_validate(read_json(path))


def check_digest(job: Settings, expected: str | None) -> None:
    """Refuse to run with other settings than the workflow planned.

    Raises:
        MismatchError: the configuration changed between planning and running.
    """
    if expected is not None and (found := digest(job)) != expected:
        raise MismatchError(
            f"{type(job).__name__}: planned with settings {expected}, but the configuration now gives {found}. "
            "It was changed while the workflow ran; start snakemake again."
        )
