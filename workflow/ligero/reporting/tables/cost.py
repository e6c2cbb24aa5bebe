"""Table of what the study cost: runs and device hours a stage, beside what the thesis spent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from ligero.reporting.frames import Cells, joined, table
from ligero.reporting.names import beside_the_thesis
from ligero.reporting.published import read_table
from ligero.reporting.results import Results, Search
from ligero.settings import plan
from ligero.settings.plan import ablation_runs, augmented_tasks

HOUR = 3600.0
STAGES = (
    "teacher states",
    "pretraining",
    "fine-tuning",
    "teacher logits",
    "distillation",
    "augmented logits",
    "ablation",
    "hyper-parameter search",
    "scoring",
)


@dataclass(frozen=True)
class Run:
    """One run of a stage, as its own program recorded it.

    Attributes:
        seconds: on each of its devices, from start to end without what a kill threw away.
        devices: how many it used at once: GPUs, or processes of the threads that the device names.
    """

    stage: str
    device: str
    seconds: float
    devices: int = 1


def cost(results: Results) -> pd.DataFrame:
    """One row per stage and kind of device. The thesis' figures are in the first row of their stage.

    A device hour is an hour of one device: of one GPU, or of the CPU threads that the row names.
    """
    runs = list(_runs(results))
    shown = beside_the_thesis(results.study)
    published = {row["stage"]: row for row in read_table("device_hours")} if shown else {}
    rows = []
    for stage in STAGES:
        devices = list(dict.fromkeys(run.device for run in runs if run.stage == stage))
        for number, device in enumerate(devices):
            found = [run for run in runs if (run.stage, run.device) == (stage, device)]
            thesis = published.get(stage) if number == 0 else None
            rows.append({"stage": stage, **_total(found, device), **_thesis(thesis)})
    if runs:
        rows.append({"stage": "all", **_total(runs, joined(run.device for run in runs) or "")})
    columns = [
        "stage",
        "runs",
        "device",
        "device_hours",
        "seconds_a_run",
        "thesis_runs",
        "thesis_device",
        "thesis_device_hours",
    ]
    return table(columns, rows, results.study.scale)


def _total(runs: list[Run], device: str) -> Cells:
    hours = sum(run.seconds * run.devices for run in runs) / HOUR
    return {
        "runs": len(runs),
        "device": device,
        "device_hours": f"{hours:.4f}",
        "seconds_a_run": f"{sum(run.seconds for run in runs) / len(runs):.3f}",
    }


def _thesis(row: dict[str, str] | None) -> Cells:
    if row is None:
        return {}
    return {
        "thesis_runs": row["runs"],
        "thesis_device": row["device"],
        "thesis_device_hours": row["device_hours"],
        "notes": f"thesis: {row['source']}",
    }


def _runs(results: Results) -> Iterator[Run]:
    study = results.study
    for model in plan.pretrained_models(study):
        done = results.pretraining_summary(model)
        yield Run("pretraining", _device(done.device, done.threads), done.seconds, done.processes)
    for model in plan.models_with_state_teachers(study):
        read = results.teacher_states(model)
        yield Run("teacher states", _device(read.device, read.threads), read.seconds)
    for regime, model in plan.systems(study):
        for trial in results.trials(regime, model):
            yield Run(regime, _device(trial["device"], trial["threads"]), trial["seconds"])
    for task in study.tasks if study.distillation else ():
        for run in results.logits_cost(task)["runs"]:
            yield Run("teacher logits", _device(run["device"], run["threads"]), run["seconds"])
    for record in results.scores(study.tasks).values():
        yield Run("scoring", _device(record["device"], record["threads"]), record["seconds"])
    yield from _compared(results)
    for search in results.searches():
        yield from _searched(search)


def _compared(results: Results) -> Iterator[Run]:
    """Runs of the ablation, each with its scoring, and what its unlabelled examples took."""
    for task in augmented_tasks(results.study):
        for run in results.augmented_logits_cost(task)["runs"]:
            yield Run("augmented logits", _device(run["device"], run["threads"]), run["seconds"])
    for place in ablation_runs(results.study):
        record = results.ablation_run(*place)
        yield Run(
            "ablation",
            _device(record["device"], record["threads"]),
            record["training_seconds"] + record["seconds"],
        )


def _searched(search: Search) -> Iterator[Run]:
    """One run per trial; per worker if trials recorded no time, or if workers had several kinds of device, since a trial does not
    record whose it was (a worker's record lacks trials that were killed).
    """
    devices = [_device(worker["device"], worker["threads"]) for worker in search.workers]
    if search.seconds and len(set(devices)) == 1:
        for seconds in search.seconds:
            yield Run("hyper-parameter search", devices[0], seconds)
        return
    for worker, device in zip(search.workers, devices, strict=True):
        yield Run("hyper-parameter search", device, worker["seconds"])


def _device(device: str, threads: int) -> str:
    """A GPU by its name; a CPU with the threads that a run used."""
    if device != "cpu":
        return device
    return f"cpu, {threads} thread{'s' if threads > 1 else ''}"
