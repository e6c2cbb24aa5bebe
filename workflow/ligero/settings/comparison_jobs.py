"""The runs of a comparison: what each depends on, and which methods fit which tasks."""

from __future__ import annotations

from pydantic import Field

from ligero.common.errors import ConfigurationError
from ligero.settings import jobs
from ligero.settings.augmentation import why_not
from ligero.settings.base import Identifier, Settings
from ligero.settings.comparison import Comparison, Method
from ligero.settings.study import Study
from ligero.settings.training import Distillation

METHOD_SETTINGS = ("loss", "alpha", "temperature", "relations", "relation_weight")
"""Keys of a method that stand in place of those of the section `distillation`."""


class ComparisonJob(Settings):
    """One run: a method on a task with a seed."""

    method: Identifier
    shard: jobs.ShardJob
    """With a single trial; its `distillation` is null where the method learns from gold labels."""
    augmented: bool = Field(False, exclude_if=lambda augmented: not augmented)
    """Trains on unlabelled sentences too."""


def sections(study: Study) -> tuple[Comparison, Distillation]:
    """The two sections that a comparison is made of.

    Raises:
        ConfigurationError: the study has no comparison.
    """
    if study.comparison is None or study.distillation is None:
        raise ConfigurationError(
            "comparison: this study has none; add the sections comparison and distillation"
        )
    return study.comparison, study.distillation


def comparison_runs(study: Study) -> list[tuple[str, str, int]]:
    """Every (task, method, seed), in the order of the table; empty without a comparison, or where its student is left out."""
    if study.comparison is None or study.distillation is None:
        return []
    if study.distillation.students[study.comparison.student].initial in study.left_out:
        return []
    return [
        (task, method, seed)
        for task in study.comparison.tasks
        for method in study.comparison.methods
        if not_applicable(study, task, method) is None
        for seed in study.comparison.seeds
    ]


def augmented_tasks(study: Study) -> list[str]:
    """The tasks whose teacher also labels unlabelled examples, for the methods that learn from them."""
    methods = study.comparison.methods if study.comparison else {}
    runs = comparison_runs(study)
    return list(dict.fromkeys(task for task, method, _ in runs if methods[method].augmented))


def not_applicable(study: Study, task_id: str, method_id: str) -> str | None:
    """Why a method cannot be used on a task, or None where it can."""
    method = sections(study)[0].methods[method_id]
    return why_not(study.tasks[task_id]) if method.augmented else None


def trial_of(comparison: Comparison, task_id: str, method_id: str, seed: int) -> jobs.Trial:
    """The trial of one run; its folder is named by the seed too."""
    method = comparison.methods[method_id]
    return jobs.Trial(
        model=comparison.student,
        task=task_id,
        batch_size=method.batch_size or comparison.batch_size,
        epochs=method.epochs or comparison.epochs,
        learning_rate=method.learning_rate or comparison.learning_rate,
        seed=seed,
    )


def comparison_job(study: Study, task_id: str, method_id: str, seed: int) -> ComparisonJob:
    comparison, distillation = sections(study)
    method = comparison.methods[method_id]
    student = distillation.students[comparison.student]
    model = study.models[student.initial]
    options = distillation.options.model_copy(update={"seed": seed})
    if model.head_learning_rate_factor is not None:
        options = options.model_copy(update={"head_learning_rate_factor": model.head_learning_rate_factor})
    return ComparisonJob(
        method=method_id,
        augmented=method.augmented,
        shard=jobs.ShardJob(
            regime="fine-tuning" if method.objective == "gold" else "distillation",
            model_id=comparison.student,
            model=model.determining_weights(),
            num_hidden_layers=student.num_hidden_layers,
            initial_layers=student.initial_layers,
            trials=(trial_of(comparison, task_id, method_id, seed),),
            tasks={task_id: jobs.training_view(study.tasks[task_id])},
            options=options,
            distillation=_learning(distillation, method) if method.objective == "distilled" else None,
        ),
    )


def _learning(distillation: Distillation, method: Method) -> dict[str, object]:
    """Alpha, temperature, loss and the rest; no patience, so that every method gets the epochs that the table names."""
    chosen = {key: getattr(method, key) for key in METHOD_SETTINGS if getattr(method, key) is not None}
    return {**jobs.distillation_settings(distillation), **chosen, "patience": None}
