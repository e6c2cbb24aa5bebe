"""Jobs of the ablation: one student, a method, a task and a seed."""

from __future__ import annotations

from ligero.settings.ablation import Method
from ligero.settings.base import Identifier
from ligero.settings.distillation import Distillation
from ligero.settings.jobs.base import Job
from ligero.settings.jobs.tasks import TaskSpec
from ligero.settings.jobs.training import ShardJob, StudentLearning, options_for
from ligero.settings.plan import ablation_sections, ablation_trial
from ligero.settings.study import Study

METHOD_SETTINGS = ("loss", "alpha", "temperature", "relations", "relation_weight")
"""Keys of a method that override those of the section `distillation`."""


class AblationJob(Job):
    """Train and score one method on one task with one seed."""

    method: Identifier
    shard: ShardJob
    """With a single trial; its `distillation` is null if the method learns from gold labels."""
    augmented: bool = False
    """Whether it also trains on unlabelled examples."""


def ablation_job(study: Study, task_id: str, method_id: str, seed: int) -> AblationJob:
    """The job of one run: the options of `distillation` with the method's overrides and the seed.

    Other methods, tasks and seeds of the ablation are not part of it, so adding one trains that one only.

    Raises:
        ConfigurationError: the study has no ablation.
    """
    ablation, distillation = ablation_sections(study)
    method = ablation.methods[method_id]
    student = distillation.students[ablation.student]
    model = study.models[student.initial]
    options = options_for(model, distillation.options.model_copy(update={"seed": seed}))
    return AblationJob(
        method=method_id,
        augmented=method.augmented,
        shard=ShardJob(
            regime="fine-tuning" if method.objective == "gold" else "distillation",
            model_id=ablation.student,
            architecture=model.architecture,
            num_hidden_layers=student.num_hidden_layers,
            initial_layers=student.initial_layers,
            trials=(ablation_trial(ablation, task_id, method_id, seed),),
            tasks={task_id: TaskSpec.of(study.tasks[task_id])},
            options=options,
            distillation=_learning(distillation, method) if method.objective == "distilled" else None,
        ),
    )


def _learning(distillation: Distillation, method: Method) -> StudentLearning:
    """The section `distillation` with the method's overrides; no patience, so that every method runs all its epochs."""
    chosen = {key: getattr(method, key) for key in METHOD_SETTINGS if getattr(method, key) is not None}
    return StudentLearning.of(distillation).model_copy(update={**chosen, "patience": None})
