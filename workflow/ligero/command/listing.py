"""`ligero ls`: known models, and the tasks and systems of a study."""

from __future__ import annotations

import argparse
import json

from ligero.command.project import PROJECT
from ligero.command.systems import open_results
from ligero.common.errors import ConfigurationError
from ligero.settings.yaml_files import read_yaml

Row = dict[str, str | int]
"""A line of the list: what its columns say."""


def run(args: argparse.Namespace) -> int:
    """Print one line for each; JSON with --json."""
    rows = {"models": _models, "tasks": _tasks, "systems": _systems}[args.what](args)
    if args.json:
        print(json.dumps(rows, ensure_ascii=False))
        return 0
    columns = list(rows[0]) if rows else []
    widths = {column: max(len(column), *(len(str(row[column])) for row in rows)) for column in columns}
    head: Row = dict(zip(columns, columns, strict=True))
    for row in [head, *rows] if rows else []:
        print("  ".join(f"{row[column]!s:{widths[column]}}" for column in columns).rstrip())
    return 0


def _models(args: argparse.Namespace) -> list[Row]:
    """The models of the hub that the registry knows.

    Raises:
        ConfigurationError: --results, which has no part in it.
    """
    if args.results != ".":
        raise ConfigurationError(
            "--results: `ls models` lists what can be named to `train`, whatever the study; for a study's own say `ls systems`"
        )
    known = read_yaml(PROJECT / "resources" / "sources.yaml")["hub_models"]
    return [
        {
            "model": name,
            "type": entry["architecture"]["type"],
            "layers": entry["architecture"]["num_hidden_layers"],
            "hidden": entry["architecture"]["hidden_size"],
            "licence": entry["licence"],
        }
        for name, entry in known.items()
    ]


def _tasks(args: argparse.Namespace) -> list[Row]:
    return [
        {
            "task": task_id,
            "name": task.name,
            "type": task.type,
            "metric": task.metric,
            "labels": len(task.labels),
        }
        for task_id, task in open_results(args.results).study.tasks.items()
    ]


def _systems(args: argparse.Namespace) -> list[Row]:
    results = open_results(args.results)
    return [
        {"regime": row.regime, "system": row.model, "name": row.name, "left out": row.left_out or ""}
        for row in results.rows()
    ]
