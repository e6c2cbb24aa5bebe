"""Jobs that export a selected model."""

from __future__ import annotations

from ligero.settings.base import Identifier
from ligero.settings.export import Export
from ligero.settings.jobs.base import Credit, Job
from ligero.settings.jobs.tasks import EncodingJob, TaskSpec, encoding_job
from ligero.settings.plan import initial_model, stage_of, system_name, task_sources, tokenizer_of
from ligero.settings.study import Regime, Study
from ligero.settings.training import TrainingOptions


class ExportJob(Job):
    """One selected model with what its folder tells."""

    regime: Regime
    model_id: Identifier
    name: str
    tokenizer: Identifier
    task_id: Identifier
    task_name: str
    task: TaskSpec
    pairs: bool
    """Whether the task's examples are pairs of texts."""
    encoding: EncodingJob
    options: TrainingOptions
    export: Export
    sources: dict[Identifier, Credit]


def export_job(study: Study, regime: Regime, model_id: str, task_id: str) -> ExportJob:
    task = study.tasks[task_id]
    return ExportJob(
        regime=regime,
        model_id=model_id,
        name=system_name(study, regime, model_id),
        tokenizer=tokenizer_of(study, initial_model(study, regime, model_id)),
        task_id=task_id,
        task_name=task.name,
        task=TaskSpec.of(task),
        pairs=task.has_pairs,
        encoding=encoding_job(study, task_id),
        options=stage_of(study, regime).options,
        export=study.export,
        sources={source: Credit.of(study.sources[source]) for source in task_sources(study, task_id)},
    )
