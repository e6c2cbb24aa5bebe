"""Jobs before distillation: the choice of teachers, and the caching of their logits."""

from __future__ import annotations

from typing import Literal

from ligero.common.errors import ConfigurationError
from ligero.settings.base import Identifier
from ligero.settings.jobs.base import Job
from ligero.settings.plan import teacher_candidates
from ligero.settings.precision import Precision
from ligero.settings.study import Study
from ligero.settings.tasks import TaskType


class TeacherJob(Job):
    """Choose the teacher of one task."""

    task_id: Identifier
    task_name: str
    rule: str
    choice: Identifier | None
    candidates: dict[Identifier, str]
    """Names by model id."""
    number: int = 1
    weighting: str = "mean"


def teacher_job(study: Study, task_id: str) -> TeacherJob:
    """The job of a task's teacher: the rule and the candidates; their selections, with validation losses, are inputs.

    Raises:
        ConfigurationError: the rule is 'published', and the thesis' teacher of the task is missing.
    """
    return TeacherJob(
        task_id=task_id,
        task_name=study.tasks[task_id].name,
        rule=study.teachers.rule,
        choice=study.teachers.choices.get(task_id),
        candidates={model: study.models[model].name for model in teacher_candidates(study, task_id)},
        number=study.teachers.number,
        weighting=study.teachers.weighting,
    )


class LogitsJob(Job):
    """Cache the logits of a task's teacher on the training split."""

    task_id: Identifier
    task_type: TaskType
    labels: tuple[str, ...]
    dtype: Literal["float16", "float32"]
    micro_batch_size: int | None
    precision: Precision
    max_words: int | None
    """The students' limit on words, so that the teacher reads the same words."""


def logits_job(study: Study, task_id: str) -> LogitsJob:
    """The job of a task's cached logits: how the teacher runs and what is stored; the teacher and the encoded task are inputs.

    Raises:
        ConfigurationError: the study has no distillation.
    """
    if study.distillation is None:
        raise ConfigurationError(
            "distillation: the study has no such section; add it to cache teacher logits"
        )
    options = study.fine_tuning.options
    return LogitsJob(
        task_id=task_id,
        task_type=study.tasks[task_id].type,
        labels=study.tasks[task_id].labels,
        dtype=study.distillation.logits_dtype,
        micro_batch_size=options.micro_batch_size,
        precision=study.distillation.logits_precision or options.precision,
        max_words=study.distillation.options.max_words,
    )
