"""Jobs of tables, figures and model cards."""

from __future__ import annotations

from typing import Any

from ligero.settings.jobs.base import Job
from ligero.settings.plan import task_sources
from ligero.settings.study import Study


class ReportingJob(Job):
    """What tables and figures read of the configuration."""

    study: dict[str, Any]


def reporting_job(study: Study) -> ReportingJob:
    irrelevant = {"export", "hardware", "search", "mirror", "sources", "source_registry", "results_dir"}
    models = {
        name: model.model_copy(update={"pretraining": model.pretraining.determining_weights()})
        if model.pretraining
        else model
        for name, model in study.models.items()
    }
    shown = study.model_copy(update={"models": models})
    return ReportingJob(study=shown.model_dump(mode="json", exclude=irrelevant))


def cards_job(study: Study) -> ReportingJob:
    """What model cards tell: beside the study the licences and citations of the tasks' files and of the corpus."""
    corpus = study.corpus.parts if study.corpus else ()
    sources = {
        name: study.sources[name].model_dump(mode="json", include={"licence", "citation"})
        for name in (*corpus, *(name for task in study.tasks for name in task_sources(study, task)))
    }
    return ReportingJob(study={**reporting_job(study).study, "sources": sources})
