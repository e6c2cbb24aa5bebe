"""Which jobs re-run when a setting changes: every leaf of a study changed in turn, and the jobs whose digest that changes.

`PYTHONPATH=workflow python -m tests.builders.reruns_by_setting` writes tests/data/reruns_by_setting.csv. A change of that file is to be reviewed: it says what
users will wait for again after they edit a setting, and above all which results would stay although a setting changed.
"""

from __future__ import annotations

import copy
import csv
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ValidationError

from ligero.common.hashing import digest_value
from ligero.settings import jobs, plan
from ligero.settings.base import LearningRate, PerJob, Settings, Sha256
from ligero.settings.checks import problems_of
from ligero.settings.load import load_study
from ligero.settings.study import Study
from ligero.settings.yaml_files import read_yaml

ROOT = Path(__file__).resolve().parents[2]
STUDY = ROOT / "tests/data/digest_study.yaml"
TABLE = ROOT / "tests/data/reruns_by_setting.csv"

Path_ = tuple[str | int, ...]

OTHERS: dict[str, tuple[Any, ...]] = {
    "sources.*.archive.source": ("text",),
    "sources.*.url": ("https://example.org/other",),
    "sources.*.alternatives": (["https://example.org/other"],),
    "corpus.parts": (["more-text", "text"],),
    "corpus.language.code": ("pt",),
    "corpus.near_duplicates.similarity": (0.7,),
    "corpus.validation_share": (0.02,),
    "tokenizers.*.character_coverage": (0.9995,),
    "models.*.architecture.hidden_size": (64,),
    "models.*.architecture.num_attention_heads": (4,),
    "models.*.architecture.hidden_act": ("relu",),
    "models.*.tokenizer": ("words",),
    "models.*.pretraining.schedule_steps": (200,),
    "models.*.pretraining.bias_correction": (False,),
    "models.*.pretraining.teacher.model": ("mine",),
    "models.*.hub.aliases": (["owner/older"],),
    "tasks.*.splits.train.sources": (["train", "nobody-reads-this"],),
    "tasks.*.splits.validation.sources": (["nobody-reads-this"],),
    "tasks.*.splits.test.sources": (["nobody-reads-this"],),
    "tasks.*.splits.train.share": ([0.0, 0.8],),
    "tasks.*.splits.validation.share": ([0.0, 0.8],),
    "tasks.*.splits.test.share": ([0.0, 0.8],),
    "tasks.*.splits.train.without_ids_of": (["test"],),
    "tasks.*.splits.validation.without_ids_of": (["test"],),
    "tasks.*.splits.test.without_ids_of": (["train"],),
    "tasks.*.labels": (["other", "same"],),
    "tasks.*.documents": (["text"],),
    "tasks.*.multiword_ranges": ("keep",),
    "tasks.*.metric": ("token_accuracy",),
    "tasks.*.columns.second_text": (None,),
    "tasks.*.reader": (),
    "models.*.weights": (),
    "teachers.rule": ("list",),
    "fine_tuning.selection": ({}, {"answers": "loss"}),
    "fine_tuning.evaluate_every_steps": ({"tags": 8},),
    "teachers.candidates": (["albert", "hub"],),
    "teachers.choices": (dict.fromkeys(("pairs", "tags", "words", "answers", "topics"), "hub"),),
    "distillation.selection": ({},),
    # Of the two stages one validates every so many steps, and the other halves.
    "fine_tuning.halving": (),
    "distillation.evaluate_every_steps": (),
    "distillation.options.evaluate_every_steps": (),
    "distillation.trials_per_job": ("all",),
    "distillation.logits_precision": ("bf16",),
    "ablation.methods.*.loss": ("mse",),
    "ablation.methods.*.relations": ("hidden",),
    "distillation.students.*.initial": ("albert",),
    "ablation.student": ("small",),
    "ablation.tasks": (["pairs"],),
    "ablation.reference": ("distilled",),
    "ablation.methods.*.augmented": (True,),
    "search.students": (["half"],),
    "search.tasks": (["tags"],),
    "efficiency.reference": ("albert",),
    "source_registry": ("resources/sources.yaml",),
    "results_dir": ("elsewhere",),
    "left_out": ({"mine": "not there"},),
}
"""Key path to other valid values, where a value's type alone does not say any; () where none is valid by itself."""


TOGETHER: dict[str, dict[str, Any]] = {
    "models.*.pretraining.cls_words": {"models.albert.pretraining.objective": "mlm"},
    "fine_tuning.options.max_length": {"distillation.options.max_length": "the same"},
    "fine_tuning.options.doc_stride": {"distillation.options.doc_stride": "the same"},
    "distillation.options.max_length": {"fine_tuning.options.max_length": "the same"},
    "distillation.options.doc_stride": {"fine_tuning.options.doc_stride": "the same"},
    "protocol": {"distillation.halving": None},
    "tasks.*.type": {"tasks.tags.reader": "table", "tasks.tags.metric": "accuracy"},
    "teachers.rule": {"teachers.candidates": None, "teachers.choices.topics": "hub"},
    "teachers.number": {"teachers.candidates": None},
    "distillation.relations": {"search": None, "teachers.candidates": None, "teachers.choices": {}},
}
"""Key path to the further changes without which no other value is valid."""


@dataclass(frozen=True)
class Change:
    """What a change of one leaf does.

    Attributes:
        key: its path, ids as `*`.
        before: its value; after: the other one.
        jobs: those that run again: the job, its rule, and the dotted paths of its fields that differ (places in lists as `*`), or
            None where there was no such job before.
    """

    key: str
    before: Any
    after: Any
    jobs: list[tuple[Settings, str, set[str] | None]]


def study() -> Study:
    """The study of tests/data/digest_study.yaml."""
    return load_study(read_yaml(STUDY), ROOT)


def all_jobs(chosen: Study) -> dict[tuple[str, ...], Settings]:
    """Every job of the workflow as (rule, wildcards) -> the settings whose digest the rule carries."""
    found: dict[tuple[str, ...], Settings] = {}

    def add(rule: str, cut: Callable[..., Settings], *wildcards: Any) -> None:
        found[(rule, *map(str, wildcards))] = cut(chosen, *wildcards)

    for source_id, source in chosen.sources.items():
        found["fetch_source", source_id] = source
    add("clean_corpus", jobs.cleaning_job)
    for tokenizer_id, tokenizer in chosen.tokenizers.items():
        found["train_tokenizer, encode_corpus", tokenizer_id] = tokenizer
    add("measure_tokenizers", jobs.tokenizers_job)
    for model_id, model in chosen.models.items():
        if model.weights == "pretrain":
            add("pretrain_model", jobs.pretraining_job, model_id)
            if model.state_teacher:
                add("cache_states", jobs.states_job, model_id)
        else:
            add("prepare_weights", jobs.weights_job, model_id)
    for task_id in chosen.tasks:
        add("prepare_task", jobs.task_job, task_id)
        add("encode_task", jobs.encoding_job, task_id)
        add("score_baseline", jobs.baseline_job, task_id)
        add("select_teacher", jobs.teacher_job, task_id)
        add("cache_logits", jobs.logits_job, task_id)
        if chosen.tasks[task_id].type == "sequence_classification":
            add("score_static_embeddings", jobs.static_embeddings_job, task_id)
        add("augment_task", jobs.augmentation_job, task_id)
    for regime, system in plan.systems(chosen):
        rule = "finetune_model" if regime == "fine-tuning" else "distill_student"
        for shard in range(len(plan.shards_of(chosen, regime, system))):
            add(rule, jobs.shard_job, regime, system, shard)
        for task_id in chosen.tasks:
            add("select_trial", jobs.selections_job, regime, system, (task_id,))
            add("export_model", jobs.export_job, regime, system, task_id)
    for regime in ("fine-tuning", "distillation"):
        for shard in plan.scoring_shards_of(chosen, regime):
            add("score_systems", jobs.scoring_job, regime, shard)
    for run in plan.ablation_runs(chosen):
        add("train_method", jobs.ablation_job, *run)
    for search in plan.searches(chosen):
        add("search_hyperparameters", jobs.search_job, *search)
    add("measure_efficiency", jobs.efficiency_job)
    add("measure_speed", jobs.speed_job)
    add("make_table, make_figure", jobs.reporting_job)
    add("write_cards", jobs.cards_job)
    return found


def changes(chosen: Study) -> list[Change]:
    """What changing each leaf of the study does. Each key path stands there once: of all ids, with the one that most depends on.

    Raises:
        AssertionError: no other value of a leaf is valid and OTHERS does not say so, or the study lacks a section.
    """
    before = {key: determining(job) for key, job in all_jobs(chosen).items()}
    digests = {key: digest_value(value) for key, value in before.items()}
    content = chosen.model_dump(mode="json")
    found: dict[str, Change] = {}
    stuck: set[str] = set()
    for path, key, annotation, value in leaves(Study, content, (), ""):
        stuck.add(key)
        if _model_in(annotation) is not None:
            continue
        for other in OTHERS[key] if key in OTHERS else others(annotation, value):
            companions = {tuple(more.split(".")): value for more, value in TOGETHER.get(key, {}).items()}
            same = {more: other if value == "the same" else value for more, value in companions.items()}
            changed = _valid(content, {path: other, **same})
            if changed is None:
                continue
            again = []
            for name, job in all_jobs(changed).items():
                now = determining(job)
                if name not in before:
                    again.append((job, name[0], None))
                elif digest_value(now) != digests[name]:
                    again.append((job, name[0], differences(before[name], now)))
            if key not in found or len(again) > len(found[key].jobs):
                found[key] = Change(key, value, other, again)
            break
    stuck = {
        key
        for key in stuck
        if OTHERS.get(key) != () and not any(f"{done}.".startswith(f"{key}.") for done in found)
    }
    assert not stuck, (
        f"{STUDY.name} has none of these sections, or no other valid value is known (OTHERS): {sorted(stuck)}"
    )
    return list(found.values())


def determining(job: Settings) -> Any:
    """What a job's digest is made of."""
    return (job.determining() if isinstance(job, jobs.Job) else job).model_dump(mode="json")


def leaves(annotation: Any, value: Any, path: Path_, key: str) -> Iterator[tuple[Path_, str, Any, Any]]:
    """Every leaf of a dumped configuration: path, path with `*` for ids, annotation, value. A section left out is a leaf too."""
    model = _model_in(annotation)
    if model is None or not isinstance(value, dict):
        yield path, key, annotation, value
    elif get_origin(_plain(annotation)) is dict:
        if len(value) > 1:
            yield path, f"{key} (without one)", None, value
        for name, entry in value.items():
            yield from leaves(model, entry, (*path, name), f"{key}.*")
    else:
        hints = _hints(model)
        for name, entry in value.items():
            yield from leaves(hints[name], entry, (*path, name), f"{key}.{name}" if key else name)


def others(annotation: Any, value: Any) -> Iterator[Any]:
    """Other values of a leaf's type, to be tried in turn."""
    chosen = _without_null(annotation)
    if chosen is None:
        yield from ({key: entry for key, entry in value.items() if key != left_out} for left_out in value)
    elif chosen == LearningRate:
        yield "7e-4"
    elif chosen == PerJob:
        yield "all" if value != "all" else 2
    elif chosen == Sha256:
        yield "0" * 64
    else:
        plain = _plain(chosen)
        if get_origin(plain) is Literal:
            yield from (choice for choice in get_args(plain) if choice != value)
        elif plain is bool:
            yield not value
        elif plain is int:
            yield from ((value + 1, 2 * value, value - 1, value // 2) if value is not None else (8, 2, 64))
        elif plain is float:
            yield from ((0.9 * value, 1.1 * value + 0.1, 0.5) if value is not None else (0.5, 2.0))
        elif plain is str:
            yield "other" if value is None else f"{value}x"
        elif get_origin(plain) is tuple:
            (item, *_) = get_args(plain)
            known = list(value or ())
            yield from ([*known, extra] for extra in others(item, known[-1] if known else None))


def differences(one: Any, other: Any, path: str = "") -> set[str]:
    """Dotted paths of the leaves in which two dumps differ, with `*` for places in lists."""
    if isinstance(one, dict) and isinstance(other, dict):
        return {
            found
            for key in one.keys() | other.keys()
            for found in differences(one.get(key), other.get(key), f"{path}.{key}" if path else key)
        }
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = zip(one, other, strict=True)
        return {found for first, second in pairs for found in differences(first, second, f"{path}.*")}
    return set() if one == other else {path}


def decisive(kind: type[BaseModel], differing: Iterable[str]) -> set[str]:
    """The fields, as CLASS.FIELD, without any of which a job would not have run again: all differing paths lead through them."""
    found: set[str] = set()
    paths = [path.split(".") for path in differing]
    while paths and all(paths) and len({path[0] for path in paths}) == 1:
        field = paths[0][0]
        found.add(f"{kind.__name__}.{field}")
        annotation, paths = (
            _plain(_hints(kind)[field]),
            [path[1:] for path in paths],
        )
        if get_origin(annotation) in (dict, tuple):
            paths = [path[1:] for path in paths]
            annotation = _plain(get_args(annotation)[get_origin(annotation) is dict])
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            break
        kind = annotation
    return found


def job_kinds() -> set[type[Settings]]:
    """The classes that only jobs are made of: those of ligero.settings.jobs, and the trial."""
    known = {kind for kind in vars(jobs).values() if isinstance(kind, type) and issubclass(kind, Settings)}
    return {*known, plan.Trial} - {jobs.Job}


def as_csv(found: Iterable[Change], chosen: Study) -> str:
    """The table: a row per key with its two values and how many jobs of each rule re-run, after a row with how many there are."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["key", "before", "after", "jobs that run again, per rule"])
    writer.writerow(["(all jobs)", "", "", counted(name[0] for name in all_jobs(chosen))])
    for change in found:
        writer.writerow(
            [
                change.key,
                _shown(change.before),
                _shown(change.after),
                counted(rule for _, rule, _ in change.jobs) or "none",
            ]
        )
    return buffer.getvalue()


def counted(rules: Iterable[str]) -> str:
    """Rules with the number of times that each occurs."""
    counts: dict[str, int] = {}
    for rule in rules:
        counts[rule] = counts.get(rule, 0) + 1
    return "; ".join(f"{rule}: {number}" for rule, number in counts.items())


def _valid(content: dict[str, Any], values: dict[Path_, Any]) -> Study | None:
    """The study with other values at some paths, or None where that is not valid."""
    changed = copy.deepcopy(content)
    for path, value in values.items():
        target: Any = changed
        for part in path[:-1]:
            target = target[part]
        target[path[-1]] = value
    try:
        made = Study.model_validate(changed)
    except ValidationError:
        return None
    return None if problems_of(made) or made.model_dump(mode="json") == content else made


@cache
def _hints(model: type[BaseModel]) -> dict[str, Any]:
    return get_type_hints(model, include_extras=True)


def _without_null(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, UnionType):
        return next(argument for argument in get_args(annotation) if argument is not NoneType)
    return annotation


def _plain(annotation: Any) -> Any:
    """An annotation without null and without its constraints."""
    chosen = _without_null(annotation)
    return _plain(get_args(chosen)[0]) if get_origin(chosen) is Annotated else chosen


def _model_in(annotation: Any) -> type[BaseModel] | None:
    plain = _plain(annotation)
    if get_origin(plain) is dict:
        return _model_in(get_args(plain)[1])
    return plain if isinstance(plain, type) and issubclass(plain, BaseModel) else None


def _shown(value: Any) -> str:
    if isinstance(value, dict) and any(isinstance(entry, dict) for entry in value.values()):
        return " ".join(value)  # ids of sections
    return "null" if value is None else str(value)


if __name__ == "__main__":
    STUDY_ = study()
    TABLE.write_text(as_csv(changes(STUDY_), STUDY_), encoding="utf-8")
