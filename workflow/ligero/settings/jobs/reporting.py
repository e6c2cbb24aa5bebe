"""Jobs of tables, figures and model cards."""

from __future__ import annotations

from ligero.settings.base import Identifier
from ligero.settings.hardware import HardwareOfStages
from ligero.settings.jobs.base import Credit, Job
from ligero.settings.plan import task_sources
from ligero.settings.study import Study

NOT_REPORTED: dict[str, object] = {
    "hardware": HardwareOfStages(),
    "search": None,
    "mirror": None,
    "sources": {},
    "source_registry": None,
    "results_dir": "results",
}
"""Sections and keys that no table, figure or card shows, with the value that takes their place in the job."""


class ReportingJob(Job):
    """What tables and figures show of the configuration."""

    study: Study
    """Without NOT_REPORTED, and without what only decides how fast models are pretrained."""


class CardsJob(Job):
    """What model cards show of the configuration."""

    study: Study
    """As in ReportingJob."""
    sources: dict[Identifier, Credit]
    """Of the tasks' files and of the corpus."""


def reporting_job(study: Study) -> ReportingJob:
    """The job of every table and figure: hardware, searches, and where files come from change none of them."""
    models = {
        name: model.model_copy(update={"pretraining": model.pretraining.determining_weights()})
        if model.pretraining
        else model
        for name, model in study.models.items()
    }
    return ReportingJob(study=study.model_copy(update={"models": models, **NOT_REPORTED}))


def cards_job(study: Study) -> CardsJob:
    """The job of the model cards: beside the study the licences and citations of the files that models learned from."""
    corpus = study.corpus.parts if study.corpus else ()
    names = (*corpus, *(name for task in study.tasks for name in task_sources(study, task)))
    return CardsJob(
        study=reporting_job(study).study, sources={name: Credit.of(study.sources[name]) for name in names}
    )
