"""Checks that need to see more than one part of a study: references, clashes, teachers."""

from __future__ import annotations

from ligero.settings.checks.clashes import clashes
from ligero.settings.checks.references import dangling
from ligero.settings.study import Study


def problems_of(study: Study) -> list[str]:
    """What the checks of single sections cannot see, each as 'key path: problem'; clashes where all references are sound."""
    return [*dangling(study)] or [*clashes(study)]
