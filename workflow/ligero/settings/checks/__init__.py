"""Checks across the sections of a study: references, clashes, teachers."""

from __future__ import annotations

from ligero.settings.checks.clashes import clashes
from ligero.settings.checks.references import undefined
from ligero.settings.study import Study


def problems_of(study: Study) -> list[str]:
    """Problems between sections, each as 'key path: problem': undefined references, or, if there are none, clashes."""
    return [*undefined(study)] or [*clashes(study)]
