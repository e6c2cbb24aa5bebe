"""Jobs that measure size and speed: the conditions, and every system with its architecture."""

from __future__ import annotations

from ligero.settings.base import Identifier, Settings
from ligero.settings.efficiency import Efficiency, Speed
from ligero.settings.jobs.base import Job
from ligero.settings.models import Architecture
from ligero.settings.plan import initial_model, system_name, systems, tokenizer_of
from ligero.settings.study import Regime, Study


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
