"""What is wrong with a study's choice of teachers."""

from __future__ import annotations

from collections.abc import Iterable

from ligero.common.errors import ConfigurationError
from ligero.settings.plan import teacher_candidates
from ligero.settings.study import Study


def teaching_problems(study: Study) -> Iterable[str]:
    """What is wrong with the choice of teachers, as 'key path: problem'; nothing where nobody is taught."""
    if study.distillation is None:
        return
    if study.teachers.number > 1 and study.teachers.rule != "validation":
        yield (
            f"teachers.number: the rule '{study.teachers.rule}' names one teacher a task; use rule validation for "
            f"{study.teachers.number} of them, or leave number out"
        )
    if study.teachers.candidates and study.teachers.rule != "validation":
        yield (
            f"teachers.candidates: the rule '{study.teachers.rule}' chooses among no candidates; remove the key, or use rule "
            "validation"
        )
    too_few: set[str] = set()
    for task_id in study.tasks:
        try:
            candidates = teacher_candidates(study, task_id)
        except ConfigurationError as error:
            yield str(error)
            continue
        if (named := study.teachers.choices.get(task_id)) in study.left_out:
            yield f"teachers.choices.{task_id}: '{named}' is left out: {study.left_out[named]}. Or name another teacher."
        elif named is None and study.teachers.rule == "validation":
            too_few |= _too_few(study, candidates)
        yield from _unrelated(study, task_id, candidates)
    yield from sorted(too_few)


def _too_few(study: Study, candidates: list[str]) -> set[str]:
    without = f" ({', '.join(study.left_out)} left out)" if study.left_out else ""
    if not candidates:
        return {f"teachers.candidates: none is there{without}; name another, or build their weights"}
    if study.teachers.number > len(candidates):
        return {
            f"teachers.number: {study.teachers.number} teachers a task, but there are {len(candidates)} candidates{without}"
        }
    return set()


def _unrelated(study: Study, task_id: str, candidates: list[str]) -> Iterable[str]:
    """Students whose relations cannot be matched, since no possible teacher reads with their vocabulary."""
    for path, student_id in _relating(study, task_id):
        assert study.distillation
        initial = study.distillation.students[student_id].initial
        if initial in study.left_out or any(_may_share(study, initial, teacher) for teacher in candidates):
            continue
        yield (
            f"{path}: needs a teacher of the student's vocabulary, but no teacher of task '{task_id}' ({', '.join(candidates)}) "
            f"reads with that of student '{student_id}'. Choose one under teachers.choices.{task_id}, or set relations: none."
        )


def _relating(study: Study, task_id: str) -> Iterable[tuple[str, str]]:
    """Key path and student of everything that matches relations on a task."""
    assert study.distillation
    inherited = study.distillation.relations
    if inherited != "none":
        yield from (("distillation.relations", student) for student in study.distillation.students)
    if study.ablation and task_id in study.ablation.tasks:
        for method_id, method in study.ablation.methods.items():
            if method.objective == "distilled" and method.relations not in (None, "none", inherited):
                yield f"ablation.methods.{method_id}.relations", study.ablation.student


def _may_share(study: Study, one: str, other: str) -> bool:
    """Whether two models may have one vocabulary: one trained here by its id; checkpoints of others may agree unknown to us."""
    first, second = study.models[one], study.models[other]
    if first.tokenizer or second.tokenizer:
        return first.tokenizer == second.tokenizer
    return True
