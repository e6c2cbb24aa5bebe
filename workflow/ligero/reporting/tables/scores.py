"""Test scores of every system on the tasks of one type, and of the baselines that need no model."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from ligero.reporting.frames import Cells, interval, joined, printed, table
from ligero.reporting.names import ADDED_METRICS, THESIS_METRICS, beside_the_thesis, headline
from ligero.reporting.results import Results
from ligero.settings.study import Study
from ligero.settings.tasks import THESIS_STEMS, TaskType, stem
from ligero.tasks.metrics import HEADLINE
from ligero.training.records import ScoreRecord

WITHOUT_A_MODEL = "without a language model"
STEMS_OF_TYPE: dict[TaskType, tuple[str, ...]] = {
    "sequence_classification": ("mldoc", "pawsx", "xnli"),
    "token_classification": ("pos", "ner"),
    "question_answering": ("mlqa", "sqac", "tar_xquad"),
}
"""The thesis' tasks of each type; their columns are in the table even if a study lacks the task."""


def text_classification(results: Results) -> pd.DataFrame:
    """Accuracy of every system."""
    return score_table(results, "sequence_classification")


def sequence_tagging(results: Results) -> pd.DataFrame:
    """F1 by seqeval, as in the thesis, and the share of right words."""
    return score_table(results, "token_classification")


def question_answering(results: Results) -> pd.DataFrame:
    """F1 and exact match by SQuAD's script, as in the thesis, and by MLQA's."""
    return score_table(results, "question_answering")


def score_table(results: Results, task_type: TaskType) -> pd.DataFrame:
    """All systems, then the baseline, n-grams and static embeddings, on the tasks of a type: the thesis' columns, added metrics, 95 % intervals."""
    study = results.study
    tasks = tasks_of_type(study, task_type)
    scores, baselines = results.scores(tasks), results.baselines(tasks)
    absent = [
        f"task {name} is not in this configuration"
        for name in STEMS_OF_TYPE[task_type]
        if name not in tasks.values() and beside_the_thesis(study)
    ]
    rows: list[Cells] = []
    for row in results.rows():
        found = {task: scores[row.regime, row.model, task] for task in tasks} if not row.left_out else {}
        cells = _cells(tasks, task_type, found)
        notes = joined([row.left_out, not_learned_note(study, found, baselines), *absent])
        rows.append({"regime": row.regime, "model": row.name, **cells, "notes": notes})
    if baselines:
        name = " / ".join(dict.fromkeys(record["name"] for record in baselines.values()))
        cells = _cells(tasks, task_type, baselines)
        rows.append({"regime": "baseline", "model": name, **cells, "notes": joined(absent)})
    for instead in results.without_a_model(tasks) if task_type == "sequence_classification" else ():
        names = list(dict.fromkeys(found["name"] for found in instead.scored.values()))
        costs = [
            f"{tasks[task]}: {found['name'] + ', ' if len(names) > 1 else ''}{found['bytes'] / 1e6:.1f} MB, "
            f"{found['milliseconds']:.2f} ms per text"
            for task, found in instead.scored.items()
        ]
        missing = [f"{tasks[task]}: not measured, {reason}" for task, reason in instead.missing.items()]
        rows.append(
            {
                "regime": WITHOUT_A_MODEL,
                "model": names[0] if len(names) == 1 else instead.name,
                **_cells(tasks, task_type, instead.scored),
                "notes": joined([*costs, *missing, *absent]),
            }
        )
    return table(["regime", "model", *score_columns(study, task_type)], rows, study.scale)


def not_learned_note(
    study: Study, found: Mapping[str, ScoreRecord], baselines: Mapping[str, ScoreRecord]
) -> str | None:
    """The tasks that a system has not learned: the 95 % interval of its score holds the baseline's, or lies below it.

    Args:
        found: task id to the system's record; baselines: task id to the baseline's.
    """
    names = []
    for task_id, record in found.items():
        ends = record["intervals"].get(HEADLINE[study.tasks[task_id].metric])
        if ends is not None and task_id in baselines and ends[0] <= baselines[task_id]["score"]:
            names.append(study.tasks[task_id].name)
    return f"not learned, no better than the baseline: {', '.join(names)}" if names else None


def tasks_of_type(study: Study, task_type: TaskType) -> dict[str, str]:
    """Ids of a study's tasks of a type, each with the beginning of its columns' names."""
    return {task_id: stem(task_id, task) for task_id, task in study.tasks.items() if task.type == task_type}


def score_columns(study: Study, task_type: TaskType) -> list[str]:
    """Columns of a score table: the thesis' in its order, those of further tasks, then what the thesis does not print; intervals of
    the thesis' metrics and of the metric that counts.
    """
    tasks = tasks_of_type(study, task_type)
    known = STEMS_OF_TYPE[task_type]
    stems = [*known, *(name for name in tasks.values() if name not in known)]
    shown = [f"{name}_{metric.suffix}" for name in stems for metric in THESIS_METRICS[task_type]]
    added = [f"{name}_{metric.suffix}" for name in tasks.values() for metric in ADDED_METRICS[task_type]]
    intervals = [
        f"{name}_{metric.suffix}_interval"
        for task, name in tasks.items()
        for metric in dict.fromkeys((*THESIS_METRICS[task_type], headline(study.tasks[task])))
    ]
    return [*shown, *added, *intervals]


def _cells(
    tasks: Mapping[str, str], task_type: TaskType, found: Mapping[str, ScoreRecord]
) -> dict[str, str | None]:
    cells: dict[str, str | None] = {}
    for task, record in found.items():
        for metric in (*THESIS_METRICS[task_type], *ADDED_METRICS[task_type]):
            column = f"{tasks[task]}_{metric.suffix}"
            cells[column] = printed(record["metrics"].get(metric.key))
            cells[f"{column}_interval"] = interval(record["intervals"].get(metric.key))
    return cells


assert sorted(name for names in STEMS_OF_TYPE.values() for name in names) == sorted(THESIS_STEMS.values())
