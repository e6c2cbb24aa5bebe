"""The table of data sets."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from ligero.common.names import plain
from ligero.reporting.frames import Cells, joined, table
from ligero.reporting.names import TASK_TYPES, beside_the_thesis
from ligero.reporting.published import read_table
from ligero.reporting.results import Results
from ligero.settings.tasks import SPLITS, Task
from ligero.tasks.records import TaskInfo


def datasets(results: Results) -> pd.DataFrame:
    """Counts of every task and of its files beside those of the thesis, leaks from train to test, and what was left out."""
    shown = beside_the_thesis(results.study)
    published = {plain(row["dataset"]): row for row in read_table("datasets")} if shown else {}
    rows = [
        _row(task, results.task_info(task_id), published.get(plain(task.name)))
        for task_id, task in results.study.tasks.items()
    ]
    columns = [
        "dataset",
        "task_type",
        "categories",
        *SPLITS,
        "in_the_files",
        "published_counts",
        "test_ids_seen_in_training",
        "test_texts_seen_in_training",
    ]
    return table(columns, rows, results.study.scale)


def _row(task: Task, info: TaskInfo, published: Mapping[str, str] | None) -> Cells:
    seen = info["leaks"]["train_test"]
    return {
        "dataset": task.name,
        "task_type": TASK_TYPES[task.type],
        "categories": len(task.labels) if task.labels else "-",
        **{split: info["counts"][split] for split in SPLITS},
        "in_the_files": " / ".join(str(info["read"][split]) for split in SPLITS),
        "published_counts": " / ".join(published[split] for split in SPLITS) if published else None,
        "test_ids_seen_in_training": seen["same_id"],
        "test_texts_seen_in_training": seen["same_text"],
        "notes": joined([*info["notes"], *info["warnings"]]),
    }
