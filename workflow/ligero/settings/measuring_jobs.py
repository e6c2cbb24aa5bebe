"""What measuring size and speed depends on: the conditions, and every system with its architecture."""

from __future__ import annotations

from ligero.settings import jobs
from ligero.settings.base import Identifier, Settings
from ligero.settings.models import Architecture
from ligero.settings.study import Efficiency, Regime, Speed, Study


class MeasuredSystem(Settings):
    """One system whose size and speed are measured."""

    regime: Regime
    model_id: Identifier
    name: str
    vocabulary: Identifier
    architecture: Architecture
    """With the student's number of layers, where it is one."""


class EfficiencyJob(Settings):
    conditions: Efficiency
    systems: tuple[MeasuredSystem, ...]


class SpeedJob(Settings):
    conditions: Speed
    systems: tuple[MeasuredSystem, ...]


def measured_systems(study: Study) -> tuple[MeasuredSystem, ...]:
    """Every system of the study with its architecture."""
    measured = []
    for regime, model_id in jobs.systems(study):
        initial = jobs.initial_model(study, regime, model_id)
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
                name=jobs.system_name(study, regime, model_id),
                vocabulary=jobs.tokenizer_of(study, initial),
                architecture=architecture,
            )
        )
    return tuple(measured)


def efficiency_job(study: Study) -> EfficiencyJob:
    return EfficiencyJob(conditions=study.efficiency, systems=measured_systems(study))


def speed_job(study: Study) -> SpeedJob:
    return SpeedJob(conditions=study.speed, systems=measured_systems(study))
