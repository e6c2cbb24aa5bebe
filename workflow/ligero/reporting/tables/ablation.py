"""The table of an ablation: one student, several ways to train it, and whether they help."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from ligero.reporting.frames import Cells, interval, joined, printed, table
from ligero.reporting.results import Results
from ligero.reporting.tables.selection import together_note
from ligero.settings.plan import ablation_runs, ablation_sections, why_not_applicable
from ligero.tasks.bootstrap import PairedTest
from ligero.tasks.metrics import HEADLINE
from ligero.tasks.significance import Runs

COLUMNS = [
    "task",
    "method",
    "score",
    "standard_deviation",
    "interval",
    "difference",
    "difference_interval",
    "p_value",
    "helped",
    "seeds",
    "epochs",
    "steps",
    "batch_size",
    "learning_rate",
]
SIGNIFICANT = 0.05


def ablation(results: Results) -> pd.DataFrame:
    """For every task its teacher's score and each method's mean over the seeds, tested against the reference method."""
    study = results.study
    tasks = dict.fromkeys(task for task, _, _ in ablation_runs(study))
    rows = [row for task_id in tasks for row in (_teacher(results, task_id), *_methods(results, task_id))]
    return table(COLUMNS, rows, study.scale)


def _teacher(results: Results, task_id: str) -> Cells:
    """The teacher as the study scored it."""
    chosen = results.teacher(task_id)
    score = results.score("fine-tuning", chosen["teacher"], task_id)
    task = results.study.tasks[task_id]
    return {
        "task": task.name,
        "method": f"teacher: {results.study.models[chosen['teacher']].name}",
        "score": printed(score["score"]),
        "interval": interval(score["intervals"][HEADLINE[task.metric]]),
        "seeds": 1,
        "notes": together_note(results.study, chosen),
    }


def _methods(results: Results, task_id: str) -> Iterator[Cells]:
    study = results.study
    ablation, distillation = ablation_sections(study)
    task, seed = study.tasks[task_id], distillation.options.seed
    reasons = {method: why_not_applicable(study, task_id, method) for method in ablation.methods}
    records = {
        method: [results.ablation_run(task_id, method, number) for number in ablation.seeds]
        for method, reason in reasons.items()
        if reason is None
    }
    runs = {
        method: Runs.of(task.metric, [np.array(record["units"], np.float64) for record in found])
        for method, found in records.items()
    }
    for method_id, method in ablation.methods.items():
        if reasons[method_id]:
            notes = f"not applicable: {reasons[method_id]}"
            yield {"task": task.name, "method": method.name or method_id, "notes": notes}
            continue
        run, trial = runs[method_id], records[method_id][0]["trial"]
        test = None
        if method_id != ablation.reference:
            test = run.against(runs[ablation.reference], seed)
        yield {
            "task": task.name,
            "method": method.name or method_id,
            "score": printed(run.mean),
            "standard_deviation": printed(run.deviation),
            "interval": interval(run.interval(seed)),
            **(_verdict(test) if test else {}),
            "seeds": run.number,
            "steps": records[method_id][0]["steps"],
            "epochs": trial["epochs"],
            "batch_size": trial["batch_size"],
            "learning_rate": trial["learning_rate"],
            "notes": joined(["reference"] if test is None else []),
        }


def _verdict(test: PairedTest) -> Cells:
    """The cells of a paired test; a method helped or harmed only if the difference is significant at the 5 % level."""
    significant = test.p_value < SIGNIFICANT
    return {
        "difference": f"{round(test.difference, 2) + 0.0:+.2f}",
        "difference_interval": interval((test.low, test.high)),
        "p_value": f"{test.p_value:.3f}",
        "helped": ("yes" if test.difference > 0 else "no") if significant else "not significant",
    }
