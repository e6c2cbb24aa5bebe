"""Problems with the choice of teachers."""

from __future__ import annotations

from collections.abc import Iterable

from ligero.common.errors import ConfigurationError
from ligero.settings.plan import teacher_candidates
from ligero.settings.study import Study


def teaching_problems(study: Study) -> Iterable[str]:
    """Problems with the choice of teachers, as 'key path: problem'; none without distillation."""
    if study.distillation is None:
        return
    if study.teachers.number > 1 and study.teachers.rule != "validation":
        yield (
            f"teachers.number: the rule '{study.teachers.rule}' gives one teacher per task; use rule validation for "
            f"{study.teachers.number}, or remove number"
        )
    if study.teachers.candidates and study.teachers.rule != "validation":
        yield (
            f"teachers.candidates: not used by the rule '{study.teachers.rule}'; remove the key, or use rule validation"
        )
    too_few: set[str] = set()
    for task_id in study.tasks:
        try:
            candidates = teacher_candidates(study, task_id)
        except ConfigurationError as error:
            yield str(error)
            continue
        if (named := study.teachers.choices.get(task_id)) in study.left_out:
            yield f"teachers.choices.{task_id}: '{named}' is excluded: {study.left_out[named]}; or choose another teacher"
        elif named is None and study.teachers.rule == "validation":
            too_few |= _too_few(study, candidates)
        yield from _unrelated(study, task_id, candidates)
    yield from sorted(too_few)


def _too_few(study: Study, candidates: list[str]) -> set[str]:
    without = f" ({', '.join(study.left_out)} excluded)" if study.left_out else ""
    if not candidates:
        return {f"teachers.candidates: none is available{without}; choose others, or build their weights"}
    if study.teachers.number > len(candidates):
        return {
            f"teachers.number: {study.teachers.number} teachers per task, but only {len(candidates)} candidates{without}"
        }
    return set()


def _unrelated(study: Study, task_id: str, candidates: list[str]) -> Iterable[str]:
    """Students whose relations cannot be matched, since no candidate teacher has their vocabulary."""
    for path, student_id in _relating(study, task_id):
        assert study.distillation
        initial = study.distillation.students[student_id].initial
        if initial in study.left_out or any(_may_share(study, initial, teacher) for teacher in candidates):
            continue
        yield (
            f"{path}: requires a teacher with the student's vocabulary, but no teacher of task '{task_id}' "
            f"({', '.join(candidates)}) has that of student '{student_id}'; set teachers.choices.{task_id}, or relations: none"
        )


def _relating(study: Study, task_id: str) -> Iterable[tuple[str, str]]:
    """Key path and student of every setting that matches relations on a task."""
    assert study.distillation
    inherited = study.distillation.relations
    if inherited != "none":
        yield from (("distillation.relations", student) for student in study.distillation.students)
    if study.ablation and task_id in study.ablation.tasks:
        for method_id, method in study.ablation.methods.items():
            if method.objective == "distilled" and method.relations not in (None, "none", inherited):
                yield f"ablation.methods.{method_id}.relations", study.ablation.student


def _may_share(study: Study, one: str, other: str) -> bool:
    """Whether two models may have the same vocabulary: tokenizers trained here are compared by id, others may be equal."""
    first, second = study.models[one], study.models[other]
    if first.tokenizer or second.tokenizer:
        return first.tokenizer == second.tokenizer
    return True
