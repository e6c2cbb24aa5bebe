"""What a run consists of: its systems, their trials cut into shards, teachers, ablation runs and searches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cache
from itertools import groupby, product
from typing import Any, NamedTuple

from ligero.common.errors import ConfigurationError
from ligero.settings.base import Identifier, LearningRate, Settings
from ligero.settings.distillation import Distillation, published_teacher
from ligero.settings.packing import packed, trial_seconds
from ligero.settings.study import Regime, Study
from ligero.settings.tasks import Task
from ligero.settings.training import Ablation, Grid, Halving, Training


class Trial(Settings):
    """One run of training: a point of the grid for one model and task."""

    model: Identifier
    task: Identifier
    batch_size: int
    """Effective batch size."""
    epochs: int
    learning_rate: LearningRate
    seed: int

    @property
    def id(self) -> str:
        """The trial's name in paths."""
        return f"batch{self.batch_size}-epochs{self.epochs}-rate{self.learning_rate}-seed{self.seed}"


def systems(study: Study) -> list[tuple[Regime, str]]:
    """Every (regime, model) of the study that can be run, in the order of the tables."""
    fine_tuned: list[tuple[Regime, str]] = [
        ("fine-tuning", model) for model in study.models if model not in study.left_out
    ]
    students = study.distillation.students if study.distillation else {}
    distilled: list[tuple[Regime, str]] = [
        ("distillation", student) for student, spec in students.items() if spec.initial not in study.left_out
    ]
    return [*fine_tuned, *distilled]


def system_name(study: Study, regime: Regime, model_id: str) -> str:
    """Name of a system in the tables."""
    if regime == "fine-tuning":
        return study.models[model_id].name
    assert study.distillation
    return study.distillation.students[model_id].name


def initial_model(study: Study, regime: Regime, model_id: str) -> str:
    """Id of the model whose weights a system starts from."""
    if regime == "fine-tuning":
        return model_id
    assert study.distillation
    return study.distillation.students[model_id].initial


def is_twin(study: Study, student: str) -> bool:
    """Whether the model of a student's own id is its fine-tuned twin: the same model, which learns from the labels alone."""
    assert study.distillation
    spec = study.distillation.students[student]
    if spec.initial != student:
        return False
    return spec.num_hidden_layers in (None, study.models[student].architecture.num_hidden_layers)


def tasks_with_static_embeddings(study: Study) -> list[str]:
    """Ids of the tasks of classification that have a teacher, whose vectors of single pieces are scored."""
    tasks = study.tasks.items() if study.distillation else ()
    return [task_id for task_id, task in tasks if task.type == "sequence_classification"]


def exits_early(study: Study, regime: Regime, model_id: str) -> bool:
    """Whether a system is trained, and exported, so that texts may leave after any repetition of its layer."""
    if regime == "fine-tuning":
        return study.models[model_id].early_exit
    assert study.distillation
    return study.distillation.students[model_id].early_exit


def tokenizer_of(study: Study, model_id: str) -> str:
    """Id of a model's tokenizer: one trained here, or the model's own, which has the model's id."""
    return study.models[model_id].tokenizer or model_id


def pretrained_models(study: Study) -> list[str]:
    """Ids of the models that are pretrained here."""
    return [
        model
        for model, spec in study.models.items()
        if spec.weights == "pretrain" and model not in study.left_out
    ]


def models_with_state_teachers(study: Study) -> list[str]:
    """Ids of the models that are pretrained here on the hidden states of another."""
    return [model for model in pretrained_models(study) if study.models[model].state_teacher]


def state_teachers_of(study: Study, model_id: str) -> list[str]:
    """Whose hidden states a model is pretrained on, whose those were pretrained on, and so on; ends where one comes again."""
    found: list[str] = []
    while (lesson := study.models[model_id].state_teacher) and lesson.model not in found:
        model_id = lesson.model
        found.append(model_id)
    return found


def models_of_others(study: Study) -> list[str]:
    """Ids of the models whose weights are fetched, or copied from a local folder."""
    return [
        model
        for model, spec in study.models.items()
        if spec.weights != "pretrain" and model not in study.left_out
    ]


def wanted_sources(study: Study) -> list[str]:
    """Ids of the sources that the corpus, where it is read, and the tasks are made of, each once."""
    corpus = study.corpus.parts if study.corpus and study.reads_corpus else ()
    return list(
        dict.fromkeys([*corpus, *(source for task in study.tasks for source in task_sources(study, task))])
    )


def source_at(study: Study, path: str) -> str:
    """Id of the source with that path."""
    return next(source_id for source_id, source in study.sources.items() if source.path == path)


def task_sources(study: Study, task_id: str) -> list[str]:
    """Ids of a task's sources, each once, in a stable order."""
    task = study.tasks[task_id]
    wanted = [source for _, split in task.splits for source in (*split.sources, *split.without_ids_of)]
    return list(dict.fromkeys([*wanted, *task.documents]))


def stage_of(study: Study, regime: Regime) -> Training:
    """The section of a regime.

    Raises:
        ConfigurationError: the study has no distillation.
    """
    if regime == "fine-tuning":
        return study.fine_tuning
    if study.distillation is None:
        raise ConfigurationError("distillation: the study has no such section; add it to distil students")
    return study.distillation


def selection_metric_of(study: Study, regime: Regime, task_id: str) -> str:
    """What selects the best epoch and trial of a task: "loss" or "score"."""
    stage = stage_of(study, regime)
    return stage.selection.get(task_id, stage.options.selection_metric)


@cache
def trials_of(study: Study, regime: Regime, model_id: str) -> list[Trial]:
    """All trials of a model over its tasks, in a stable order."""
    stage = stage_of(study, regime)
    return [
        Trial(
            model=model_id,
            task=task_id,
            batch_size=batch,
            epochs=epochs,
            learning_rate=rate,
            seed=stage.options.seed,
        )
        for task_id in study.tasks
        for batch, epochs, rate in _points(_grid(study, regime, model_id, task_id))
    ]


def _grid(study: Study, regime: Regime, model_id: str, task_id: str) -> Grid:
    task = study.tasks[task_id]
    if regime == "distillation":
        assert study.distillation
        of_student = study.distillation.students[model_id].grid.applied_to(study.distillation.grid)
        return task.distillation_grid.applied_to(of_student)
    return task.grid.applied_to(study.models[model_id].grid.applied_to(study.fine_tuning.grid))


def _points(grid: Grid) -> list[tuple[int, int, str]]:
    return list(product(grid.batch_size, grid.epochs, grid.learning_rate))


@cache
def shards_of(study: Study, regime: Regime, model_id: str) -> list[list[Trial]]:
    """A model's trials cut into shards of `trials_per_job`."""
    trials, size = trials_of(study, regime, model_id), stage_of(study, regime).trials_per_job
    if size != "auto":
        return _chunks(trials, size)
    of_task = [list(members) for _, members in groupby(trials, key=lambda trial: trial.task)]
    if stage_of(study, regime).halving:
        return of_task
    return [
        shard
        for members in of_task
        for shard in packed(members, [expected_seconds(study, regime, trial) for trial in members])
    ]


def epochs_of(trials: Iterable[Trial], halving: Halving | None) -> int:
    """Epochs that trials of one system and task take together, where none stops by itself."""
    total = 0
    for epochs, running in Counter(trial.epochs for trial in trials).items():
        done = 0
        if halving:
            for rung in halving.rungs(epochs):
                total, done, running = total + running * (rung - done), rung, halving.kept(running)
        total += running * (epochs - done)
    return total


def stops_some(trials: Iterable[Trial], halving: Halving) -> bool:
    """Whether halving stops any trial of a system."""
    by_task = groupby(trials, key=lambda trial: trial.task)
    return any(
        epochs_of(members, halving) < epochs_of(members, None)
        for members in (list(group) for _, group in by_task)
    )


def expected_seconds(study: Study, regime: Regime, trial: Trial) -> float | None:
    """How long a trial takes on a GPU, roughly; None where nobody knows."""
    architecture = study.models[initial_model(study, regime, trial.model)].architecture
    layers = architecture.num_hidden_layers
    if regime == "distillation" and study.distillation:
        layers = study.distillation.students[trial.model].num_hidden_layers or layers
    max_length = stage_of(study, regime).options.max_length
    return trial_seconds(
        trial.batch_size, trial.epochs, study.tasks[trial.task], max_length, architecture, layers
    )


def tasks_of_shard(study: Study, regime: Regime, model_id: str, number: int) -> list[str]:
    """Ids of the tasks of a shard's trials, each once."""
    return list(dict.fromkeys(trial.task for trial in shards_of(study, regime, model_id)[number]))


def one_shard_regimes(study: Study) -> list[Regime]:
    """The regimes in which one job runs all trials of a system."""
    found = dict.fromkeys(regime for regime, _ in systems(study))
    return [regime for regime in found if stage_of(study, regime).trials_per_job == "all"]


class ScoringShard(NamedTuple):
    """What one process scores: these systems on these tasks."""

    systems: list[str]
    tasks: list[str]


def scoring_shards_of(study: Study, regime: Regime) -> dict[str, ScoringShard]:
    """A regime's systems and tasks cut into groups that one process scores, by the numbers of both: "0-1".

    A system or task that is added after the others leaves the earlier names as they are.
    """
    stage = stage_of(study, regime)
    members = [system for found, system in systems(study) if found == regime]
    return {
        f"{first}-{second}": ScoringShard(some, tasks)
        for first, some in enumerate(_chunks(members, stage.systems_per_scoring_job))
        for second, tasks in enumerate(_chunks(list(study.tasks), stage.tasks_per_scoring_job))
    }


def _chunks(items: list[Any], size: int | str) -> list[list[Any]]:
    step = len(items) if size == "all" else int(size)
    return [items[start : start + step] for start in range(0, len(items), max(step, 1))]


def teacher_candidates(study: Study, task_id: str) -> list[str]:
    """Ids of the models among which a task's teacher is chosen, or the one that the configuration or the thesis names.

    Raises:
        ConfigurationError: the rule is 'published', and the thesis' teacher of the task is not there.
    """
    teachers = study.teachers
    if task_id in teachers.choices:
        return [teachers.choices[task_id]]
    present = {model: spec.name for model, spec in study.models.items() if model not in study.left_out}
    if teachers.rule == "published":
        return [published_teacher(task_id, study.tasks[task_id].name, present)]
    return [model for model in teachers.candidates or study.models if model in present]


def candidate_tokenizers(study: Study, task_id: str) -> list[str]:
    """Ids of the tokenizers with which a task's teacher may read, each once."""
    return list(dict.fromkeys(tokenizer_of(study, model) for model in teacher_candidates(study, task_id)))


def tokenizers_in_use(study: Study) -> list[str]:
    """Ids of the tokenizers of all models that are run, each once."""
    models = [model for model in study.models if model not in study.left_out]
    return list(dict.fromkeys(tokenizer_of(study, model) for model in models))


def tokenizers_of_open_size(study: Study) -> list[str]:
    """Ids of the tokenizers whose size the models' architectures leave open, each once: it is read from their folders."""
    models = [
        model
        for model, spec in study.models.items()
        if spec.architecture.vocab_size is None and model not in study.left_out
    ]
    return list(dict.fromkeys(tokenizer_of(study, model) for model in models))


def why_not_augmented(task: Task) -> str | None:
    """Why unlabelled examples cannot be added to a task, or None if they can."""
    return "sentences of a corpus are not questions" if task.type == "question_answering" else None


def ablation_sections(study: Study) -> tuple[Ablation, Distillation]:
    """The sections `ablation` and `distillation`.

    Raises:
        ConfigurationError: the study has no ablation.
    """
    if study.ablation is None or study.distillation is None:
        raise ConfigurationError(
            "ablation: the study has no such section; add the sections ablation and distillation"
        )
    return study.ablation, study.distillation


def ablation_runs(study: Study) -> list[tuple[str, str, int]]:
    """Every (task, method, seed), in the order of the table; empty without an ablation, or if its student is excluded."""
    if study.ablation is None or study.distillation is None:
        return []
    if study.distillation.students[study.ablation.student].initial in study.left_out:
        return []
    return [
        (task, method, seed)
        for task in study.ablation.tasks
        for method in study.ablation.methods
        if why_not_applicable(study, task, method) is None
        for seed in study.ablation.seeds
    ]


def augmented_tasks(study: Study) -> list[str]:
    """The tasks whose teacher also labels unlabelled examples, for the methods that learn from them."""
    methods = study.ablation.methods if study.ablation else {}
    runs = ablation_runs(study)
    return list(dict.fromkeys(task for task, method, _ in runs if methods[method].augmented))


def why_not_applicable(study: Study, task_id: str, method_id: str) -> str | None:
    """Why a method cannot be used on a task, or None if it can."""
    method = ablation_sections(study)[0].methods[method_id]
    return why_not_augmented(study.tasks[task_id]) if method.augmented else None


def ablation_trial(ablation: Ablation, task_id: str, method_id: str, seed: int) -> Trial:
    """The trial of one run of the ablation."""
    method = ablation.methods[method_id]
    return Trial(
        model=ablation.student,
        task=task_id,
        batch_size=method.batch_size or ablation.batch_size,
        epochs=method.epochs or ablation.epochs,
        learning_rate=method.learning_rate or ablation.learning_rate,
        seed=seed,
    )


def searches(study: Study) -> list[tuple[str, str]]:
    """The (student, task) of the target `searches`; none without the section `search`."""
    if study.distillation is None or study.search is None:
        return []
    students = study.search.students or tuple(
        model for regime, model in systems(study) if regime == "distillation"
    )
    return [(student, task) for student in students for task in study.search.tasks or tuple(study.tasks)]
