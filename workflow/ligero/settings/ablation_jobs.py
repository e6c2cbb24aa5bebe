"""The runs of an ablation: what each depends on, and which methods fit which tasks."""

from __future__ import annotations

from pydantic import Field

from ligero.common.errors import ConfigurationError
from ligero.settings import jobs
from ligero.settings.ablation import Ablation, Method
from ligero.settings.augmentation import why_not
from ligero.settings.base import Identifier, Settings
from ligero.settings.study import Study
from ligero.settings.training import Distillation

METHOD_SETTINGS = ("loss", "alpha", "temperature", "relations", "relation_weight")
"""Keys of a method that stand in place of those of the section `distillation`."""


class AblationJob(Settings):
    """One run: a method on a task with a seed."""

    method: Identifier
    shard: jobs.ShardJob
    """With a single trial; its `distillation` is null where the method learns from gold labels."""
    augmented: bool = Field(False, exclude_if=lambda augmented: not augmented)
    """Trains on unlabelled sentences too."""


def sections(study: Study) -> tuple[Ablation, Distillation]:
    """The two sections that an ablation is made of.

    Raises:
        ConfigurationError: the study has no ablation.
    """
    if study.ablation is None or study.distillation is None:
        raise ConfigurationError("ablation: this study has none; add the sections ablation and distillation")
    return study.ablation, study.distillation


def ablation_runs(study: Study) -> list[tuple[str, str, int]]:
    """Every (task, method, seed), in the order of the table; empty without an ablation, or where its student is left out."""
    if study.ablation is None or study.distillation is None:
        return []
    if study.distillation.students[study.ablation.student].initial in study.left_out:
        return []
    return [
        (task, method, seed)
        for task in study.ablation.tasks
        for method in study.ablation.methods
        if not_applicable(study, task, method) is None
        for seed in study.ablation.seeds
    ]


def augmented_tasks(study: Study) -> list[str]:
    """The tasks whose teacher also labels unlabelled examples, for the methods that learn from them."""
    methods = study.ablation.methods if study.ablation else {}
    runs = ablation_runs(study)
    return list(dict.fromkeys(task for task, method, _ in runs if methods[method].augmented))


def not_applicable(study: Study, task_id: str, method_id: str) -> str | None:
    """Why a method cannot be used on a task, or None where it can."""
    method = sections(study)[0].methods[method_id]
    return why_not(study.tasks[task_id]) if method.augmented else None


def trial_of(ablation: Ablation, task_id: str, method_id: str, seed: int) -> jobs.Trial:
    """The trial of one run; its folder is named by the seed too."""
    method = ablation.methods[method_id]
    return jobs.Trial(
        model=ablation.student,
        task=task_id,
        batch_size=method.batch_size or ablation.batch_size,
        epochs=method.epochs or ablation.epochs,
        learning_rate=method.learning_rate or ablation.learning_rate,
        seed=seed,
    )


def ablation_job(study: Study, task_id: str, method_id: str, seed: int) -> AblationJob:
    ablation, distillation = sections(study)
    method = ablation.methods[method_id]
    student = distillation.students[ablation.student]
    model = study.models[student.initial]
    options = distillation.options.model_copy(update={"seed": seed})
    if model.head_learning_rate_factor is not None:
        options = options.model_copy(update={"head_learning_rate_factor": model.head_learning_rate_factor})
    return AblationJob(
        method=method_id,
        augmented=method.augmented,
        shard=jobs.ShardJob(
            regime="fine-tuning" if method.objective == "gold" else "distillation",
            model_id=ablation.student,
            model=model.determining_weights(),
            num_hidden_layers=student.num_hidden_layers,
            initial_layers=student.initial_layers,
            trials=(trial_of(ablation, task_id, method_id, seed),),
            tasks={task_id: jobs.training_view(study.tasks[task_id])},
            options=options,
            distillation=_learning(distillation, method) if method.objective == "distilled" else None,
        ),
    )


def _learning(distillation: Distillation, method: Method) -> dict[str, object]:
    """Alpha, temperature, loss and the rest; no patience, so that every method gets the epochs that the table names."""
    chosen = {key: getattr(method, key) for key in METHOD_SETTINGS if getattr(method, key) is not None}
    return {**jobs.distillation_settings(distillation), **chosen, "patience": None}
