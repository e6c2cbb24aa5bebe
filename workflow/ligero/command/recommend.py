"""`ligero recommend`: the best measured system that keeps limits, from a results folder."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from ligero.command.systems import open_results, printed_alternatives, printed_systems, the_task
from ligero.common.errors import ConfigurationError
from ligero.reporting.recommendation import Limits, alternatives, measured_systems, ranked


def run(args: argparse.Namespace) -> int:
    """Print the recommended system and the runner-up; 1 where none keeps the limits."""
    for name in ("max_ms", "max_mb", "max_macs", "min_score"):
        value = getattr(args, name)
        if value is not None and not value > 0:
            raise ConfigurationError(f"--{name.replace('_', '-')} {value:g}: expected a number above 0")
    results = open_results(args.results)
    task = the_task(results, args.task)
    systems = measured_systems(results, task, args.device)
    others = alternatives(results, task)
    limits = Limits(args.max_ms, args.max_mb, args.min_score, args.max_macs)
    kept = ranked(systems, limits)
    if args.json:
        answer = {
            "task": task,
            "recommended": asdict(kept[0]) if kept else None,
            "runner_up": asdict(kept[1]) if len(kept) > 1 else None,
            "others": [
                {**asdict(system), "breaks": limits.broken_by(system)}
                for system in systems
                if system not in kept
            ],
            "without_a_language_model": [asdict(other) for other in others],
        }
        print(json.dumps(answer, ensure_ascii=False))
        return int(not kept)
    if not kept:
        print(f"No system of {len(systems)} keeps these limits on {task}:", file=sys.stderr)
        for system in systems:
            print(f"  {system.label}: {'; '.join(limits.broken_by(system))}", file=sys.stderr)
        return 1
    print(f"{kept[0].label}: {kept[0].folder}")
    readings = measured_systems(results, task, args.device, at_full_depth=True)
    best = [(system.regime, system.model) for system in kept[:2]]
    print(printed_systems([one for name in best for one in readings if (one.regime, one.model) == name]))
    if len(kept) > 1 and kept[1].high >= kept[0].low:
        print("Their intervals overlap: this test split does not tell which of the two is better.")
    for line in printed_alternatives(others):
        print(line)
    return 0
