"""Checks across the sections of a study: references to undefined ids, and settings that cannot work together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import combinations

from ligero.common.errors import ConfigurationError
from ligero.common.names import plain
from ligero.settings import plan
from ligero.settings.models import no_early_exit
from ligero.settings.plan import state_teachers_of, teacher_candidates
from ligero.settings.study import Regime, Study
from ligero.settings.tasks import stem


def problems_of(study: Study) -> list[str]:
    """Problems between sections, each as 'key path: problem': undefined references, or, if there are none, clashes."""
    return [*undefined(study)] or [*clashes(study)]


def undefined(study: Study) -> Iterator[str]:
    """Every reference to an undefined id, as 'key path: what is missing'."""
    yield from _undefined_in_data(study)
    yield from _undefined_in_teachers(study)
    yield from _undefined_in_students(study)
    yield from _missing("efficiency.reference", "model", study.efficiency.reference, study.models)


def _missing(path: str, kind: str, wanted: str, known: Iterable[str]) -> Iterator[str]:
    if wanted not in (names := list(known)):
        yield f"{path}: no {kind} '{wanted}' ({_hint(wanted, names)})"


def _undefined_in_data(study: Study) -> Iterator[str]:
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
        if model.state_teacher:
            path = f"models.{model_id}.pretraining.teacher.model"
            yield from _missing(path, "model", model.state_teacher.model, study.models)
    for task_id, task in study.tasks.items():
        for archive in task.documents:
            yield from _missing(f"tasks.{task_id}.documents", "source", archive, study.sources)
        for split, spec in task.splits:
            for wanted in (*spec.sources, *spec.without_ids_of):
                yield from _missing(f"tasks.{task_id}.splits.{split}", "source", wanted, study.sources)


def _undefined_in_teachers(study: Study) -> Iterator[str]:
    for task_id, model_id in study.teachers.choices.items():
        yield from _missing("teachers.choices", "task", task_id, study.tasks)
        yield from _missing(f"teachers.choices.{task_id}", "model", model_id, study.models)
    for model_id in study.teachers.candidates or ():
        yield from _missing("teachers.candidates", "model", model_id, study.models)
    if study.teachers.rule == "list":
        for task_id in study.tasks:
            if task_id not in study.teachers.choices:
                yield f"teachers.choices: rule 'list' requires an entry for task '{task_id}'"


def _undefined_in_students(study: Study) -> Iterator[str]:
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


SPECIAL_TOKENS_OF_A_PAIR = 3
"""At least: [CLS], and [SEP] after the question and after the context (RoBERTa has one more)."""


def clashes(study: Study) -> Iterator[str]:
    """Every such combination, as 'key path: problem'. All references must be valid."""
    yield from _archives(study)
    yield from _identities(study)
    yield from _vocabularies(study)
    yield from _lengths(study)
    yield from _state_teachers(study)
    yield from _batches(study)
    yield from _windows(study)
    yield from _common_examples(study)
    yield from _common_cuts(study)
    yield from _students(study)
    yield from _halving(study)
    yield from teaching_problems(study)
    yield from _methods(study)
    yield from _search(study)
    yield from _reference(study)


def _archives(study: Study) -> Iterator[str]:
    """Archives that lie in themselves."""
    for source_id, source in study.sources.items():
        chain = [source_id]
        while source.archive and source.archive.source not in chain:
            chain.append(source.archive.source)
            source = study.sources[source.archive.source]
        if source.archive and source.archive.source == source_id:
            inside = " -> ".join([*chain, source_id])
            yield f"sources.{source_id}.archive.source: {inside}: an archive cannot be inside itself; name another source"


def _identities(study: Study) -> Iterator[str]:
    """Duplicate paths and names: artefacts are identified by path, rows of tables by name."""
    ids_of_paths: dict[str, str] = {}
    for source_id, source in study.sources.items():
        if (first := ids_of_paths.setdefault(source.path, source_id)) != source_id:
            yield f"sources.{source_id}.path: source '{first}' has the same path, {source.path}; give one of them another"
    for tokenizer_id in study.tokenizers:
        if tokenizer_id in study.models and study.models[tokenizer_id].weights != "pretrain":
            yield f"tokenizers.{tokenizer_id}: a model with its own tokenizer has the same id; rename one of them"
    yield from _same_names("models", {key: model.name for key, model in study.models.items()})
    yield from _same_names("tasks", {key: task.name for key, task in study.tasks.items()})
    yield from _called_all(study)
    yield from _same_columns(study)
    if study.distillation:
        students = study.distillation.students
        yield from _same_names(
            "distillation.students", {key: student.name for key, student in students.items()}
        )
    if study.ablation:
        methods = study.ablation.methods
        yield from _same_names(
            "ablation.methods", {key: method.name or key for key, method in methods.items()}
        )


def _same_names(path: str, names: Mapping[str, str]) -> Iterator[str]:
    ids: dict[str, str] = {}
    for key, name in names.items():
        if (first := ids.setdefault(plain(name), key)) != key:
            yield (
                f"{path}.{key}.name: {name!r} is also the name of '{first}' (ignoring case, spaces and punctuation); rows of "
                "tables are identified by name, so choose another"
            )


def _called_all(study: Study) -> Iterator[str]:
    """Tasks under the name of the mean over all tasks."""
    for key, task in study.tasks.items():
        for path, name in ((f"tasks.{key}", key), (f"tasks.{key}.name", task.name)):
            if plain(name) == "all":
                yield f"{path}: {name!r} is what tables and figures call the mean over the tasks; choose another"
                break


def _same_columns(study: Study) -> Iterator[str]:
    """Tasks of different names whose scores would be in one column."""
    ids: dict[str, str] = {}
    for key, task in study.tasks.items():
        first = ids.setdefault(stem(key, task), key)
        if first != key and plain(task.name) != plain(study.tasks[first].name):
            yield (
                f"tasks.{key}: its columns begin with '{stem(key, task)}_', as those of tasks.{first} do (a column has the "
                "name of the thesis' task of that name, else the id); give one of the two another name or id"
            )


def _vocabularies(study: Study) -> Iterator[str]:
    """Embeddings with fewer rows than tokens; cased tokenizers for a corpus without upper case."""
    for model_id, model in study.models.items():
        rows = model.architecture.vocab_size
        if model.weights != "pretrain" or model.tokenizer is None or rows is None:
            continue
        if rows < (size := study.tokenizers[model.tokenizer].vocabulary_size):
            yield (
                f"models.{model_id}.architecture.vocab_size: {rows} is less than "
                f"tokenizers.{model.tokenizer}.vocabulary_size: {size}; raise it or remove it"
            )
    if study.corpus and study.corpus.cleaning.lower_case:
        for tokenizer_id, tokenizer in study.tokenizers.items():
            if not tokenizer.lower_case:
                lowers = (
                    ""
                    if tokenizer.kind == "byte_level_bpe"
                    else f", or tokenizers.{tokenizer_id}.lower_case: true"
                )
                yield (
                    f"tokenizers.{tokenizer_id}.lower_case: false has no effect, since the corpus is lower-cased "
                    f"(corpus.cleaning.lower_case: true); write corpus.cleaning.lower_case: false{lowers}"
                )


def _lengths(study: Study) -> Iterator[str]:
    """Inputs longer than a model's positions."""
    for model_id, model in study.models.items():
        limit = model.architecture.longest_input
        if model.pretraining and model.pretraining.sequence_length > limit:
            yield (
                f"models.{model_id}.pretraining.sequence_length: {model.pretraining.sequence_length} exceeds "
                f"the model's {limit} positions"
            )
        for task_id, task in study.tasks.items():
            length = task.max_length or study.fine_tuning.options.max_length
            if length > limit:
                yield (
                    f"tasks.{task_id}.max_length (or fine_tuning.options.max_length): {length} exceeds the "
                    f"{limit} positions of model '{model_id}'"
                )
    shortest = min(study.models, key=lambda model: study.models[model].architecture.longest_input)
    limit = study.models[shortest].architecture.longest_input
    for section in ("efficiency", "speed"):
        length = getattr(study, section).sequence_length
        if length > limit:
            yield (
                f"{section}.sequence_length: {length} exceeds the {limit} positions of model '{shortest}'; "
                f"write {section}: {{sequence_length: {limit}}} or less"
            )


def _state_teachers(study: Study) -> Iterator[str]:
    """Teachers of pretraining that have no such layers or dimensions, or that wait for their own student."""
    for model_id, model in study.models.items():
        if (lesson := model.state_teacher) is None:
            continue
        path, teacher = f"models.{model_id}.pretraining.teacher", study.models[lesson.model].architecture
        depth, width = teacher.num_hidden_layers, teacher.hidden_size
        if outside := [layer for layer in lesson.layers or () if not 0 <= layer <= depth]:
            yield f"{path}.layers: {outside[0]} is not among 0 (the embeddings) to {depth} of model '{lesson.model}'"
        if lesson.dimensions > width:
            yield f"{path}.dimensions: {lesson.dimensions} exceeds the width {width} of model '{lesson.model}'"
        if model_id in (chain := state_teachers_of(study, model_id)):
            taught = " -> ".join([model_id, *chain[: chain.index(model_id) + 1]])
            yield f"{path}.model: {taught}: a model cannot learn from itself; choose another teacher"


def _batches(study: Study) -> Iterator[str]:
    world = study.hardware.pretraining.world
    for model_id, model in study.models.items():
        recipe = model.pretraining
        if model.weights == "pretrain" and recipe and recipe.batch_size % (recipe.micro_batch_size * world):
            yield (
                f"models.{model_id}.pretraining.micro_batch_size: {recipe.micro_batch_size} x {world} processes "
                f"(hardware.pretraining) does not divide batch_size {recipe.batch_size}"
            )


def _windows(study: Study) -> Iterator[str]:
    """Windows of question answering that would not advance, or that differ between teacher and student."""
    options = study.fine_tuning.options
    for task_id, task in study.tasks.items():
        room = (task.max_length or options.max_length) - SPECIAL_TOKENS_OF_A_PAIR - 1
        if task.type == "question_answering" and options.doc_stride >= room:
            yield (
                f"fine_tuning.options.doc_stride: consecutive windows cannot overlap by {options.doc_stride} tokens, because "
                f"a window of task '{task_id}' (max_length {task.max_length or options.max_length}) holds at most {room} tokens of "
                f"the context; use at most {max(1, room // 2)}"
            )
    if study.distillation:
        for key in ("max_length", "doc_stride"):
            ours, theirs = getattr(study.distillation.options, key), getattr(options, key)
            if ours != theirs:
                yield (
                    f"distillation.options.{key}: {ours} differs from fine_tuning.options.{key}: {theirs}; teacher "
                    "and student must read the same windows"
                )


def _common_examples(study: Study) -> Iterator[str]:
    """Splits of a task that share examples: training data must not be used for evaluation."""
    for task_id, task in study.tasks.items():
        for (one, first), (other, second) in combinations(task.splits, 2):
            for source in first.sources:
                if source in second.sources and _overlap(first.share, second.share):
                    yield (
                        f"tasks.{task_id}.splits: '{source}' is read by {one} (share {_printed(first.share)}) and {other} (share "
                        f"{_printed(second.share)}), which would share examples; use another source, or divide this one: "
                        "share: [0.0, 0.8] and share: [0.8, 1.0]"
                    )


def _common_cuts(study: Study) -> Iterator[str]:
    """A source that two splits cut, each beside different sources: what counts as one group depends on these, so the cuts may overlap."""
    for task_id, task in study.tasks.items():
        for (one, first), (other, second) in combinations(task.splits, 2):
            common = [source for source in first.sources if source in second.sources]
            if common and first.share and second.share and first.sources != second.sources:
                yield (
                    f"tasks.{task_id}.splits: {one} is cut from {', '.join(first.sources)} and {other} from {', '.join(second.sources)}; "
                    f"a source that several splits cut ('{common[0]}') needs the same list of sources in each of them"
                )


def _overlap(one: tuple[float, float] | None, other: tuple[float, float] | None) -> bool:
    (begin, end), (start, stop) = one or (0.0, 1.0), other or (0.0, 1.0)
    return max(begin, start) < min(end, stop)


def _printed(share: tuple[float, float] | None) -> str:
    return str(list(share)) if share else "all of it"


def _students(study: Study) -> Iterator[str]:
    for student_id, student in (study.distillation.students if study.distillation else {}).items():
        architecture, layers = study.models[student.initial].architecture, student.num_hidden_layers
        if student.initial_layers != "spread" and architecture.type == "albert":
            yield (
                f"distillation.students.{student_id}.initial_layers: the layers of '{student.initial}' share their weights, so "
                "there is nothing to choose; remove the key"
            )
        depth = layers or architecture.num_hidden_layers
        if student.early_exit and (reason := no_early_exit(architecture.type, depth)):
            yield f"distillation.students.{student_id}.early_exit: {reason}"
        if layers and layers > architecture.num_hidden_layers:
            yield (
                f"distillation.students.{student_id}.num_hidden_layers: {layers} exceeds the "
                f"{architecture.num_hidden_layers} layers of '{student.initial}'"
            )


def _halving(study: Study) -> Iterator[str]:
    """Halving where trials cannot be compared while they run, or where nothing would stop."""
    regimes: list[tuple[str, Regime]] = [("fine_tuning", "fine-tuning"), ("distillation", "distillation")]
    for section, regime in regimes:
        stage = getattr(study, section)
        if stage is None or stage.halving is None:
            continue
        path = f"{section}.halving"
        if study.protocol == "thesis":
            yield f"{path}: protocol thesis trains every trial of a grid to its end; remove the key, or write protocol: recommended"
        if stage.trials_per_job not in ("all", "auto"):
            yield (
                f"{path}: trials of a task are compared while they run, so one job must have them all, and "
                f"{section}.trials_per_job is {stage.trials_per_job}; write auto (a job for each system and task), or all"
            )
        if stage.evaluate_every_steps or stage.options.evaluate_every_steps:
            yield (
                f"{path}: trials are compared at the ends of epochs, and {section}.evaluate_every_steps validates at others; "
                "remove one of the keys"
            )
        trials = [
            plan.trials_of(study, found, model) for found, model in plan.systems(study) if found == regime
        ]
        if trials and not any(plan.stops_some(of_system, stage.halving) for of_system in trials):
            yield (
                f"{path}: it has no effect, since no system has several trials of the same number of epochs, above min_epochs "
                f"{stage.halving.min_epochs}, on a task; remove the key, or widen {section}.grid"
            )


def _methods(study: Study) -> Iterator[str]:
    """Methods of the ablation that need unlabelled text where there is none, and a reference that some task lacks."""
    distillation, ablation = study.distillation, study.ablation
    if distillation is None or ablation is None:
        return
    for task in ablation.tasks:
        if reason := plan.why_not_applicable(study, task, ablation.reference):
            yield (
                f"ablation.reference: '{ablation.reference}' cannot be used on '{task}' ({reason}), where the other methods would have "
                "nothing to be tested against; choose another reference, or remove the task"
            )
    compared = [study.tasks[task] for task in ablation.tasks]
    for method_id, method in ablation.methods.items():
        path = f"ablation.methods.{method_id}"
        if not method.augmented:
            continue
        if distillation.augmentation is None:
            yield f"{path}.augmented: requires distillation.augmentation (the ratio of examples to add)"
        if study.corpus is None and any(
            task.type != "question_answering" and not task.has_pairs for task in compared
        ):
            yield f"{path}.augmented: requires a corpus, whose sentences the teacher labels"
        if (distillation.alpha if method.alpha is None else method.alpha) or method.objective == "gold":
            yield f"{path}.augmented: unlabelled text has no gold labels; use objective distilled and alpha 0"


def _search(study: Study) -> Iterator[str]:
    if study.search is None:
        return
    if study.distillation is None:
        yield "search: requires the section distillation, whose settings it searches; add it, or remove this one"
        return
    if study.distillation.relations != "none":
        yield "search: distillation.relations is not supported here; set it to none, or remove the section search"
    for student_id in study.search.students:
        initial = study.distillation.students[student_id].initial
        if initial in study.left_out:
            yield f"search.students: '{student_id}' is excluded because '{initial}' is: {study.left_out[initial]}"


def _reference(study: Study) -> Iterator[str]:
    reference = study.efficiency.reference
    if reference in study.left_out:
        yield (
            f"efficiency.reference: '{reference}' is excluded: {study.left_out[reference]}; or choose another reference model"
        )


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
