"""Names of columns: how the thesis' tables call tasks and metrics, and how tasks of other studies are called beside them."""

from __future__ import annotations

from dataclasses import dataclass

from ligero.settings.study import Study
from ligero.settings.tasks import THESIS_STEMS, Task, TaskType, thesis_stem
from ligero.tasks.metrics import HEADLINE

TASK_TYPES: dict[TaskType, str] = {
    "sequence_classification": "Text Classification",
    "token_classification": "Sequence Tagging",
    "question_answering": "Question Answering",
}
"""Task types as the thesis' table of data sets prints them."""


@dataclass(frozen=True)
class MetricColumn:
    """A column of a score table."""

    suffix: str
    """End of the column's name."""
    key: str
    """Key of the metric in a score file."""


THESIS_METRICS: dict[TaskType, tuple[MetricColumn, ...]] = {
    "sequence_classification": (MetricColumn("accuracy", "accuracy"),),
    "token_classification": (MetricColumn("f1", "f1"),),
    "question_answering": (MetricColumn("f1", "f1"), MetricColumn("exact_match", "exact_match")),
}
"""What the thesis prints."""

ADDED_METRICS: dict[TaskType, tuple[MetricColumn, ...]] = {
    "sequence_classification": (),
    # seqeval misreads plain part-of-speech tags: the share of right words is the honest figure.
    "token_classification": (MetricColumn("token_accuracy", "accuracy"),),
    # MLQA's own script for Spanish leaves out Spanish articles and all punctuation; SQuAD's leaves out English articles.
    "question_answering": (
        MetricColumn("f1_mlqa_script", "mlqa_f1"),
        MetricColumn("exact_match_mlqa_script", "mlqa_exact_match"),
    ),
}
"""What we print beside it."""


def headline(task: Task) -> MetricColumn:
    """The column of the metric that counts in the overall score."""
    columns = (*THESIS_METRICS[task.type], *ADDED_METRICS[task.type])
    return next(column for column in columns if column.key == HEADLINE[task.metric])


def beside_the_thesis(study: Study) -> bool:
    """Whether tables show the thesis' figures, tasks and arithmetic beside the study's: not in a study of the user's own."""
    return study.scale != "own"


def has_the_thesis_tasks(study: Study) -> bool:
    """Whether the study has exactly the eight tasks, with their metrics, over which the thesis takes its score."""
    tasks = study.tasks.values()
    same_metrics = all(headline(task) == THESIS_METRICS[task.type][0] for task in tasks)
    return same_metrics and sorted(thesis_stem(task) or "" for task in tasks) == sorted(THESIS_STEMS.values())
