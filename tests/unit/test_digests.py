"""The contract of digests: a changed setting re-runs the jobs of a checked-in table, and every field of a job takes part in it."""

from __future__ import annotations

import pytest

from tests.builders import reruns_by_setting
from tests.builders.reruns_by_setting import Change

NEVER_ALONE = {
    # Ids and regimes: no setting changes them, a job with another one is another job.
    *("AblationJob.method", "Trial.model", "Trial.task", "ScoringJob.regime"),
    *(
        f"{kind}.task_id"
        for kind in (
            "TaskJob",
            "EncodingJob",
            "BaselineJob",
            "AugmentationJob",
            "TeacherJob",
            "LogitsJob",
            "StaticEmbeddingsJob",
        )
    ),
    *(
        f"{kind}.model_id"
        for kind in (
            "PretrainingJob",
            "StatesJob",
            "WeightsJob",
            "ShardJob",
            "SelectionJob",
            "MeasuredSystem",
            "ExportJob",
        )
    ),
    *(f"{kind}.regime" for kind in ("ShardJob", "SelectionJob", "MeasuredSystem", "ExportJob")),
    *("SelectionJob.task_id", "ExportJob.task_id"),
    # What changes together with another field of the same job.
    *("WeightsJob.weights", "TaskSpec.type"),
    # A study without a corpus pretrains nothing: it differs from one with a corpus in more than one setting.
    "TokenizersJob.held_out",
}
"""Fields of jobs that no setting changes by themselves."""


@pytest.fixture(scope="module")
def changes() -> list[Change]:
    return reruns_by_setting.changes(reruns_by_setting.study())


def test_a_changed_setting_runs_the_jobs_of_the_table_again(changes: list[Change]) -> None:
    """Where this fails on purpose: `PYTHONPATH=workflow python -m tests.builders.reruns_by_setting`; then review the table's diff."""
    assert reruns_by_setting.as_csv(changes, reruns_by_setting.study()) == reruns_by_setting.TABLE.read_text(
        encoding="utf-8"
    )


def test_no_field_of_a_job_can_be_dropped_unseen(changes: list[Change]) -> None:
    """For each field some setting re-runs a job by that field alone, so that without it the table would be another one."""
    alone: set[str] = set()
    for change in changes:
        for job, _, differing in change.jobs:
            alone |= reruns_by_setting.decisive(type(job), differing or ())
    fields = {
        f"{kind.__name__}.{name}" for kind in reruns_by_setting.job_kinds() for name in kind.model_fields
    }
    assert fields - alone == NEVER_ALONE
