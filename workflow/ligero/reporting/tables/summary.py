"""The summary: size, speed and score of every system."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from statistics import fmean

import pandas as pd

from ligero.efficiency.truncation import (
    exact_speedup,
    short_count,
    thesis_arithmetic_applies,
    thesis_speedup,
    truncate,
)
from ligero.reporting.frames import Cells, joined, printed, table
from ligero.reporting.names import THESIS_METRICS, beside_the_thesis, has_the_thesis_tasks, headline
from ligero.reporting.results import Results
from ligero.reporting.tables.scores import not_learned_note
from ligero.settings import plan
from ligero.settings.study import Regime, Study
from ligero.training.records import ScoreRecord

Scores = Mapping[tuple[Regime, str, str], ScoreRecord]


def summary(results: Results) -> pd.DataFrame:
    """One row per system: parameters, speedup over the reference by MACs, mean score over the tasks; then the baselines."""
    study = results.study
    scores, baselines = results.scores(study.tasks), results.baselines(study.tasks)
    speedups, arithmetic = summary_speedups(results)
    rows = []
    for row in results.rows():
        cells: Cells = {}
        if not row.left_out:
            cost = results.efficiency[row.regime, row.model]
            cells = {
                "parameters": short_count(cost["parameters"]),
                "speedup": f"{speedups[row.regime, row.model]}x",
                "score": printed(mean_score(study, scores, row.regime, row.model)),
                "macs": cost["macs"],
                "speedup_arithmetic": arithmetic if beside_the_thesis(study) else None,
            }
        below = None if row.left_out else twin_note(study, scores, row.regime, row.model)
        found = {} if row.left_out else {task: scores[row.regime, row.model, task] for task in study.tasks}
        unlearned = not_learned_note(study, found, baselines)
        notes = joined([row.left_out, below, unlearned, score_note(study)])
        rows.append({"regime": row.regime, "model": row.name, **cells, "notes": notes})
    rows.append(
        {
            "regime": "baseline",
            "model": " / ".join(dict.fromkeys(record["name"] for record in baselines.values())),
            "score": printed(fmean(record["score"] for record in baselines.values())),
            "notes": joined(["no model: nothing is counted", score_note(study)]),
        }
    )
    columns = ["regime", "model", "parameters", "speedup", "score", "macs", "speedup_arithmetic"]
    return table(columns, rows, study.scale)


def mean_score(study: Study, scores: Scores, regime: Regime, model: str) -> float:
    """Mean of a system's headline metrics over the study's tasks, in percent, unrounded."""
    return fmean(scores[regime, model, task]["score"] for task in study.tasks)


def twin_note(study: Study, scores: Scores, regime: Regime, model: str) -> str | None:
    """What to do where a student scores below its fine-tuned twin: the same model, which learned from the labels alone."""
    if regime != "distillation" or not plan.is_twin(study, model):
        return None
    behind = truncate(
        mean_score(study, scores, "fine-tuning", model) - mean_score(study, scores, regime, model)
    )
    if behind <= 0:
        return None
    return (
        f"{behind} points below its fine-tuned twin: raise distillation.grid.epochs or learning_rate, or distillation.patience, "
        "and see that its teacher is better than the twin"
    )


def score_note(study: Study) -> str | None:
    """What the score is a mean of, where it is not of the thesis' eight tasks."""
    if has_the_thesis_tasks(study) or not beside_the_thesis(study):
        return None
    names = ", ".join(
        task.name if headline(task) == THESIS_METRICS[task.type][0] else f"{task.name} by {task.metric}"
        for task in study.tasks.values()
    )
    return f"score: mean of {len(study.tasks)} tasks ({names}), not of the thesis' eight"


def summary_speedups(results: Results) -> tuple[dict[tuple[Regime, str], Decimal], str]:
    """Speedups as the summary prints them, and which arithmetic gave them: 'thesis' or 'exact'.

    The thesis truncates MACs to two decimals of a GMAC before dividing. Where every system takes at least one GMAC that is
    repeated; smaller models would lose all their digits, so for them the exact ratio is truncated instead.
    """
    macs = {key: cost["macs"] for key, cost in results.efficiency.items()}
    reference = macs["fine-tuning", results.study.efficiency.reference]
    if not thesis_arithmetic_applies(macs.values()):
        return {key: truncate(exact_speedup(count, reference)) for key, count in macs.items()}, "exact"
    return {key: thesis_speedup(count, reference) or Decimal(0) for key, count in macs.items()}, "thesis"
