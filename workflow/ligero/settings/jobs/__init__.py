"""What each job of the workflow depends on: one frozen class per kind of job, cut out of the study; a module per stage.

A program sees the configuration only through its job, and the rule carries the job's digest as a parameter: a setting
that changes re-runs exactly the jobs whose digest it changes, and no job can read what its digest does not cover.
"""

from __future__ import annotations

from ligero.settings.jobs.base import Credit, Job, digest
from ligero.settings.jobs.data import (
    AugmentationJob,
    BaselineJob,
    CleaningJob,
    EncodingJob,
    TaskJob,
    TaskSpec,
    TokenizersJob,
    augmentation_job,
    baseline_job,
    cleaning_job,
    documents_fingerprint,
    encoding_job,
    task_job,
    tokenizers_job,
)
from ligero.settings.jobs.results import (
    CardsJob,
    EfficiencyJob,
    ExportJob,
    MeasuredSystem,
    ReportingJob,
    SpeedJob,
    cards_job,
    efficiency_job,
    export_job,
    measured_systems,
    reporting_job,
    speed_job,
)
from ligero.settings.jobs.training import (
    AblationJob,
    LogitsJob,
    PretrainingJob,
    ScoringJob,
    SearchJob,
    SelectionJob,
    SelectionsJob,
    ShardJob,
    StatesJob,
    StaticEmbeddingsJob,
    StudentLearning,
    TeacherJob,
    WeightsJob,
    ablation_job,
    local_files,
    logits_job,
    logits_jobs,
    pretraining_job,
    scoring_job,
    search_job,
    selection_job,
    selections_job,
    shard_job,
    states_job,
    static_embeddings_job,
    teacher_job,
    weights_job,
)
