"""Which tasks a run is about, by what it was asked for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from ligero.settings.study import Study

_WITHOUT_TASKS = (
    "sources",
    "generated",
    "corpus",
    "tokenizers",
    "tokens",
    "pretrained",
    "pretraining",
    "weights",
)
"""Folders below the results whose files no task's data decide."""


def tasks_of_targets(study: Study, targets: Iterable[str]) -> list[str]:
    """Ids of the tasks whose data must be sound before anything is trained.

    All of them, unless files are asked for: then those that the files' paths name, and none where only corpus, vocabularies or
    pretrained weights are wanted (a model can be pretrained before the data of the tasks are there).

    Args:
        targets: rules and files as given on the command line; empty for everything.
    """
    wanted: set[str] = set()
    for target in targets:
        path = PurePosixPath(target)
        if not path.is_relative_to(study.results_dir):
            return list(study.tasks)
        parts = path.relative_to(study.results_dir).parts
        named = {PurePosixPath(part).stem for part in parts} & study.tasks.keys()
        if not named and parts[:1] not in [(folder,) for folder in _WITHOUT_TASKS]:
            return list(study.tasks)
        wanted |= named
    return [task for task in study.tasks if task in wanted] if wanted or any(targets) else list(study.tasks)
