"""`ligero plan`: what a study will cost, before anything runs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict

from ligero.command.project import PROJECT
from ligero.command.systems import results_folder, study_of
from ligero.common.files import user_path
from ligero.reporting.estimate import Amount, Estimate, Estimator
from ligero.reporting.progress import Progress
from ligero.settings.load import load_study, reasons_left_out, without_missing_weights
from ligero.settings.study import Study
from ligero.settings.yaml_files import read_yaml


def run(args: argparse.Namespace) -> int:
    """Print it."""
    study = without_missing_weights(load_study(read_yaml(user_path(args.config)), PROJECT))
    measured = None
    if args.measured:
        folder = results_folder(args.measured)
        measured = Progress(study_of(folder), folder, PROJECT)
    estimate = Estimator(study, PROJECT, measured).estimate()
    if args.json:
        print(json.dumps({"study": study.name, **asdict(estimate)}, ensure_ascii=False))
    else:
        print("\n".join(_told(study, estimate)))
    return 0


def _told(study: Study, estimate: Estimate) -> Iterator[str]:
    stages = estimate.stages
    jobs, done = sum(one.jobs for one in stages), sum(one.done for one in stages)
    yield f"{study.name}: {jobs:,} jobs" + (f", {done:,} of them done" if done else "")
    yield from (f"left out: {what}: {why}" for what, why in reasons_left_out(study).items())
    yield ""
    yield f"{'stage':14}{'jobs':>8}{'trials':>8}{'operations':>16}{'device hours':>14}  rests on"
    for one in stages:
        hours = (
            _hours(one.hours)
            if one.hours is not None
            else "-"
            if one.rests_on.startswith("not")
            else "unknown"
        )
        trials, operations = f"{one.trials:,}" if one.trials else "-", _operations(one.operations)
        yield f"{one.stage:14}{one.jobs:>8,}{trials:>8}{operations:>16}{hours:>14}  {one.rests_on}"
    known = [one.hours for one in stages if one.hours is not None]
    unknown = [one.stage for one in stages if one.hours is None and one.operations is not None]
    unknown += [one.stage for one in stages if one.hours is None and one.trials and one.stage not in unknown]
    yield f"{'all':14}{jobs:>8,}{sum(one.trials for one in stages):>8,}{'':16}{_hours(sum(known)):>14}" + (
        f"  without {', '.join(unknown)}" if unknown else ""
    )
    yield "operations: floating-point, at most (inputs as long as the configuration allows)"
    yield from _amounts("downloads", estimate.downloads)
    yield from _amounts("disk", estimate.disk)
    if estimate.unknown:
        yield ""
        yield f"unknown before the tasks are read: {', '.join(estimate.unknown)}"


def _amounts(title: str, amounts: list[Amount]) -> Iterator[str]:
    known = sum(one.bytes or 0 for one in amounts)
    unknown = sum(one.bytes is None for one in amounts)
    yield ""
    if not amounts:
        yield f"{title}: none"
        return
    yield f"{title}: {_bytes(known)}" + (f", and {unknown} of unknown size" if unknown else "")
    for one in amounts:
        size = "unknown" if one.bytes is None else _bytes(one.bytes)
        yield f"  {size:>10}  {one.what}" + (f"  ({one.note})" if one.note else "")


def _operations(value: float | None) -> str:
    if value is None:
        return "-"
    for letter, unit in (("E", 1e18), ("P", 1e15), ("T", 1e12), ("G", 1e9)):
        if value >= unit:
            return f"{value / unit:,.1f} {letter}FLOP"
    return f"{value:,.0f} FLOP"


def _hours(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.1f}" if hours >= 10 else f"{hours:.3f}"


def _bytes(count: int) -> str:
    for letter, unit in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= unit:
            return f"{count / unit:,.1f} {letter}"
    return f"{count} B"
