"""Jobs that use trained models: measuring size and speed, exporting, reporting."""

from __future__ import annotations

from pydantic import Field

from ligero.settings.base import Identifier, Settings, switched_off
from ligero.settings.efficiency import Efficiency, Speed
from ligero.settings.export import Export
from ligero.settings.hardware import HardwareOfStages
from ligero.settings.jobs.base import Credit, Job
from ligero.settings.jobs.data import EncodingJob, TaskSpec, encoding_job
from ligero.settings.models import Architecture
from ligero.settings.plan import (
    exits_early,
    initial_model,
    stage_of,
    system_name,
    systems,
    task_sources,
    tokenizer_of,
)
from ligero.settings.study import Regime, Study
from ligero.settings.training import TrainingOptions


class MeasuredSystem(Settings):
    """A system whose size and speed are measured."""

    regime: Regime
    model_id: Identifier
    name: str
    tokenizer: Identifier
    architecture: Architecture
    """With the student's number of layers, for a student."""


class EfficiencyJob(Job):
    """Count parameters and operations of every system."""

    conditions: Efficiency
    systems: tuple[MeasuredSystem, ...]


class SpeedJob(Job):
    """Measure the latency of every system."""

    conditions: Speed
    systems: tuple[MeasuredSystem, ...]


def measured_systems(study: Study) -> tuple[MeasuredSystem, ...]:
    """Every system of the study with its architecture."""
    measured = []
    for regime, model_id in systems(study):
        initial = initial_model(study, regime, model_id)
        architecture = study.models[initial].architecture
        if regime == "distillation" and study.distillation:
            layers = study.distillation.students[model_id].num_hidden_layers
            architecture = architecture.model_copy(
                update={"num_hidden_layers": layers or architecture.num_hidden_layers}
            )
        measured.append(
            MeasuredSystem(
                regime=regime,
                model_id=model_id,
                name=system_name(study, regime, model_id),
                tokenizer=tokenizer_of(study, initial),
                architecture=architecture,
            )
        )
    return tuple(measured)


def efficiency_job(study: Study) -> EfficiencyJob:
    """The job of counting: the section `efficiency` and the architectures; no weights, so it runs before any training."""
    return EfficiencyJob(conditions=study.efficiency, systems=measured_systems(study))


def speed_job(study: Study) -> SpeedJob:
    """The job of timing: the section `speed` and the architectures; no weights, so it runs before any training."""
    return SpeedJob(conditions=study.speed, systems=measured_systems(study))


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
    early_exit: bool = Field(False, exclude_if=switched_off)
    """Whether the model learned to answer after every repetition of its layer."""


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
        early_exit=exits_early(study, regime, model_id),
    )


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
