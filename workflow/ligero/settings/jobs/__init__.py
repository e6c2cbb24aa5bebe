"""What each job of the workflow depends on: one frozen class per kind of job, cut out of the study; a module per stage.

A program sees the configuration only through its job, and the rule carries the job's digest as a parameter: a setting
that changes re-runs exactly the jobs whose digest it changes, and no job can read what its digest does not cover.
"""

from __future__ import annotations

from ligero.settings.jobs.ablation import AblationJob, ablation_job
from ligero.settings.jobs.base import Credit, Job, digest
from ligero.settings.jobs.corpus import CleaningJob, cleaning_job
from ligero.settings.jobs.distillation import LogitsJob, TeacherJob, logits_job, teacher_job
from ligero.settings.jobs.efficiency import (
    EfficiencyJob,
    MeasuredSystem,
    SpeedJob,
    efficiency_job,
    measured_systems,
    speed_job,
)
from ligero.settings.jobs.export import ExportJob, export_job
from ligero.settings.jobs.pretraining import (
    PretrainingJob,
    WeightsJob,
    local_files,
    pretraining_job,
    weights_job,
)
from ligero.settings.jobs.reporting import CardsJob, ReportingJob, cards_job, reporting_job
from ligero.settings.jobs.search import SearchJob, search_job
from ligero.settings.jobs.tasks import (
    AugmentationJob,
    BaselineJob,
    EncodingJob,
    TaskJob,
    TaskSpec,
    augmentation_job,
    baseline_job,
    documents_fingerprint,
    encoding_job,
    task_job,
)
from ligero.settings.jobs.tokenizers import TokenizersJob, tokenizers_job
from ligero.settings.jobs.training import (
    ScoringJob,
    SelectionJob,
    SelectionsJob,
    ShardJob,
    StudentLearning,
    scoring_job,
    selection_job,
    selections_job,
    shard_job,
)

__all__ = [
    "AblationJob",
    "AugmentationJob",
    "BaselineJob",
    "CardsJob",
    "CleaningJob",
    "Credit",
    "EfficiencyJob",
    "EncodingJob",
    "ExportJob",
    "Job",
    "LogitsJob",
    "MeasuredSystem",
    "PretrainingJob",
    "ReportingJob",
    "ScoringJob",
    "SearchJob",
    "SelectionJob",
    "SelectionsJob",
    "ShardJob",
    "SpeedJob",
    "StudentLearning",
    "TaskJob",
    "TaskSpec",
    "TeacherJob",
    "TokenizersJob",
    "WeightsJob",
    "ablation_job",
    "augmentation_job",
    "baseline_job",
    "cards_job",
    "cleaning_job",
    "digest",
    "documents_fingerprint",
    "efficiency_job",
    "encoding_job",
    "export_job",
    "local_files",
    "logits_job",
    "measured_systems",
    "pretraining_job",
    "reporting_job",
    "scoring_job",
    "search_job",
    "selection_job",
    "selections_job",
    "shard_job",
    "speed_job",
    "task_job",
    "teacher_job",
    "tokenizers_job",
    "weights_job",
]
