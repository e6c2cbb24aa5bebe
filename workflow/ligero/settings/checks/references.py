"""References to ids that are not defined, and lists that lack an entry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches

from ligero.settings.study import Study


def undefined(study: Study) -> Iterator[str]:
    """Every reference to an undefined id, as 'key path: what is missing'."""
    yield from _of_data(study)
    yield from _of_teachers(study)
    yield from _of_students(study)
    yield from _missing("efficiency.reference", "model", study.efficiency.reference, study.models)


def _missing(path: str, kind: str, wanted: str, known: Iterable[str]) -> Iterator[str]:
    if wanted not in (names := list(known)):
        yield f"{path}: no {kind} '{wanted}' ({_hint(wanted, names)})"


def _of_data(study: Study) -> Iterator[str]:
    for number, part in enumerate(study.corpus.parts if study.corpus else ()):
        yield from _missing(f"corpus.parts.{number}", "source", part, study.sources)
    for source_id, source in study.sources.items():
        if source.archive:
            path = f"sources.{source_id}.archive.source"
            yield from _missing(path, "source", source.archive.source, study.sources)
    for model_id, model in study.models.items():
        if model.tokenizer:
            yield from _missing(
                f"models.{model_id}.tokenizer", "tokenizer", model.tokenizer, study.tokenizers
            )
        if model.weights == "pretrain" and not study.corpus:
            yield f"models.{model_id}.weights: 'pretrain' requires the section corpus"
    for task_id, task in study.tasks.items():
        for archive in task.documents:
            yield from _missing(f"tasks.{task_id}.documents", "source", archive, study.sources)
        for split, spec in task.splits:
            for wanted in (*spec.sources, *spec.without_ids_of):
                yield from _missing(f"tasks.{task_id}.splits.{split}", "source", wanted, study.sources)


def _of_teachers(study: Study) -> Iterator[str]:
    for task_id, model_id in study.teachers.choices.items():
        yield from _missing("teachers.choices", "task", task_id, study.tasks)
        yield from _missing(f"teachers.choices.{task_id}", "model", model_id, study.models)
    for model_id in study.teachers.candidates or ():
        yield from _missing("teachers.candidates", "model", model_id, study.models)
    if study.teachers.rule == "list":
        for task_id in study.tasks:
            if task_id not in study.teachers.choices:
                yield f"teachers.choices: rule 'list' requires an entry for task '{task_id}'"


def _of_students(study: Study) -> Iterator[str]:
    students = study.distillation.students if study.distillation else {}
    for student_id, student in students.items():
        yield from _missing(
            f"distillation.students.{student_id}.initial", "model", student.initial, study.models
        )
    for stage in ("fine_tuning", "distillation"):
        section = getattr(study, stage)
        for key in ("selection", "evaluate_every_steps") if section else ():
            for task_id in getattr(section, key):
                yield from _missing(f"{stage}.{key}", "task", task_id, study.tasks)
    if study.search:
        for student_id in study.search.students:
            yield from _missing("search.students", "student", student_id, students)
        for task_id in study.search.tasks:
            yield from _missing("search.tasks", "task", task_id, study.tasks)
    if study.ablation:
        yield from _missing("ablation.student", "student", study.ablation.student, students)
        for task_id in study.ablation.tasks:
            yield from _missing("ablation.tasks", "task", task_id, study.tasks)
        methods = study.ablation.methods
        yield from _missing("ablation.reference", "method", study.ablation.reference, methods)


def _hint(wanted: str, names: Sequence[str]) -> str:
    """The known ids, or the nearest ones if there are many."""
    if len(names) <= 10:
        return f"known: {', '.join(names) or 'none'}"
    nearest = get_close_matches(wanted, names, n=3, cutoff=0.4)
    return f"nearest of {len(names)}: {', '.join(nearest)}" if nearest else f"none of {len(names)} is similar"
