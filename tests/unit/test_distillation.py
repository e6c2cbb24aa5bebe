"""Distillation as a whole: cached equals live, a student of its teacher's size becomes its teacher, teachers are chosen."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ligero.common.errors import ConfigurationError, MismatchError
from ligero.common.records import write_record
from ligero.distillation import ensemble
from ligero.distillation.alignment import Alignment, align
from ligero.distillation.cached_objectives import cached_objective
from ligero.distillation.ensemble import averaged
from ligero.distillation.logit_cache import LogitCache
from ligero.distillation.objective import DistillationObjective, valid_positions
from ligero.distillation.targets import CachedTargets
from ligero.distillation.teacher_logits import entry_logits
from ligero.distillation.teachers import choose_teacher
from ligero.distillation.token_layout import layout_of
from ligero.settings.distillation import PUBLISHED, published_teacher
from ligero.settings.jobs import StudentLearning, TeacherJob
from ligero.training.batches import epoch_batches
from ligero.training.evaluate import predict
from ligero.training.objective import GoldObjective
from tests.builders.distillation import curve, options, targets_of, toy_meta, toy_model, toy_split
from tests.builders.encoding import task

TYPES = ("sequence_classification", "token_classification", "question_answering")


@pytest.mark.parametrize("task_type", TYPES)
@pytest.mark.parametrize(("size", "mode"), [(2, "first_subword"), (3, "first_subword"), (3, "boundary")])
def test_cached_and_live_teacher_give_the_same_training_curve(
    task_type: Any, size: int, mode: str, tmp_path: Path
) -> None:
    teacher = toy_model(task_type, seed=9)
    split, cached, live = targets_of(task_type, size, mode, teacher, max_length=20)
    objective = {"alpha": 0.3, "temperature": 2.0}
    curves = [
        curve(tmp_path / name, task_type, split, targets, **objective)["curve"]
        for name, targets in (("cached", cached), ("live", live))
    ]
    for a, b in zip(*curves, strict=True):
        assert a["train_loss"] == pytest.approx(b["train_loss"], rel=1e-4)
        assert a["validation_loss"] == pytest.approx(b["validation_loss"], rel=1e-4)


@pytest.mark.parametrize("kind", ["kl", "ce", "mse"])
@pytest.mark.parametrize("task_type", TYPES)
def test_a_student_of_its_teachers_size_becomes_its_teacher(task_type: Any, kind: Any) -> None:
    teacher = toy_model(task_type, seed=9)
    split, cached, _ = targets_of(task_type, 2, "first_subword", teacher, count=16)
    student = toy_model(task_type, seed=3)
    objective = DistillationObjective(task_type, cached, alpha=0.0, temperature=1.0, kind=kind)

    def distance() -> float:
        ours, theirs = (probabilities(model, split) for model in (student, teacher))
        return float(np.abs(ours - theirs).mean())

    before = distance()
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-2, weight_decay=0.0)
    for epoch in range(60):
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * (1 - epoch / 60)
        for rows in epoch_batches(split.lengths, 8, epoch, options()):
            batch = split.batch(rows, 0)
            loss = objective(student(input_ids=batch.input_ids, attention_mask=batch.attention_mask), batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert distance() < 0.15 * before


def probabilities(model: Any, split: Any) -> np.ndarray:
    layout = layout_of(split)
    logits = entry_logits(split, layout, predict(model, split)).astype(np.float64)
    if split.task_type == "question_answering":
        sums = np.add.reduceat(np.exp(logits), layout.offsets[:-1], axis=0)
        return np.exp(logits) / sums[layout.features]
    return np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)


def outputs_of(model: Any, batch: Any) -> Any:
    return model(input_ids=batch.input_ids, attention_mask=batch.attention_mask)


@pytest.mark.parametrize("task_type", TYPES)
def test_alpha_one_is_the_gold_loss(task_type: Any) -> None:
    split, cached, _ = targets_of(task_type, 3, "first_subword", toy_model(task_type, seed=9))
    batch = split.batch(np.arange(8), 0)
    outputs = outputs_of(toy_model(task_type, seed=1), batch)
    objective = DistillationObjective(task_type, cached, alpha=1.0, temperature=3.0, kind="kl")
    assert objective(outputs, batch).item() == GoldObjective(task_type)(outputs, batch).item()


@pytest.mark.parametrize("kind", ["kl", "ce", "mse"])
@pytest.mark.parametrize("task_type", TYPES)
def test_padding_changes_no_loss_and_micro_batches_add_up(task_type: Any, kind: Any) -> None:
    split, cached, _ = targets_of(task_type, 3, "first_subword", toy_model(task_type, seed=9), max_length=18)
    model = toy_model(task_type, seed=1).eval()
    objective = DistillationObjective(task_type, cached, alpha=0.0, temperature=2.0, kind=kind)
    whole = split.batch(np.arange(12), 0)
    parts = [split.batch(np.arange(start, start + 3), 0) for start in range(0, 12, 3)]
    losses = [objective(outputs_of(model, part), part).item() * objective.weight(part) for part in parts]
    together = objective(outputs_of(model, whole), whole).item()
    assert sum(losses) / sum(objective.weight(part) for part in parts) == pytest.approx(together, rel=1e-4)


def test_answer_loss_averages_start_and_end_over_tokens_without_padding() -> None:
    teacher = toy_model("question_answering", seed=9)
    split, cached, _ = targets_of("question_answering", 2, "first_subword", teacher)
    batch = split.batch(np.arange(6), 0)
    student, theirs = (outputs_of(toy_model("question_answering", seed=s), batch) for s in (1, 9))
    expected = 0.0
    lead = split.offsets[batch.rows.numpy()]
    for ours, reference in (
        (student.start_logits, theirs.start_logits),
        (student.end_logits, theirs.end_logits),
    ):
        for item in range(len(batch)):
            length = int(batch.attention_mask[item].sum())
            context = torch.from_numpy(split.start[lead[item] : lead[item] + length] >= 0)
            context[0] = True
            p = torch.where(context, reference[item, :length], -torch.inf).log_softmax(-1)
            q = ours[item, :length].log_softmax(-1)
            expected += (p.exp() * (p - q))[context].sum().item() / len(batch) / 2
    objective = DistillationObjective("question_answering", cached, alpha=0.0, temperature=1.0, kind="kl")
    assert objective(student, batch).item() == pytest.approx(expected, rel=1e-4)


def test_text_that_the_teachers_window_does_not_cover_leaves_the_students_softmax() -> None:
    student, teacher = (toy_split("question_answering", size, max_length=n) for size, n in ((2, 64), (3, 12)))
    alignment = align(layout_of(student), layout_of(teacher), "question_answering", False)
    batch = student.batch(np.arange(len(student)), 0)
    valid = valid_positions(alignment, batch)
    assert valid[:, 0].all() and not valid[batch.attention_mask == 0].any()
    left_out = int(batch.attention_mask.sum() - valid.sum())
    assert left_out == alignment.counts["student_tokens_outside_teacher_window"] > 0


@pytest.mark.parametrize("kind", ["kl", "ce", "mse"])
@pytest.mark.parametrize("mode", ["first_subword", "boundary"])
@pytest.mark.parametrize("lengths", [(64, 11), (20, 12), (12, 20)])
def test_windows_cut_inside_words_leave_the_loss_finite(
    lengths: tuple[int, int], mode: Any, kind: Any
) -> None:
    ours = toy_split("question_answering", 3, 40, max_length=lengths[0])
    theirs = toy_split("question_answering", 2, 40, max_length=lengths[1], stride=1)
    student, layout = layout_of(ours), layout_of(theirs)
    teacher = toy_model("question_answering", seed=9)
    logits = entry_logits(theirs, layout, predict(teacher, theirs))
    one = align(student, layout, "question_answering", False, mode)
    batch = ours.batch(np.arange(len(ours)), 0)
    outputs = outputs_of(toy_model("question_answering", seed=1), batch)
    objective = DistillationObjective(
        "question_answering", CachedTargets(one, logits), alpha=0.0, temperature=2.0, kind=kind
    )
    loss = objective(outputs, batch)
    loss.backward()
    assert torch.isfinite(loss)
    # Together with a teacher whose windows cover all: what the other did not see is nobody's target.
    all_of_it = toy_split("question_answering", 2, 40, max_length=64)
    wide = layout_of(all_of_it)
    two = align(student, wide, "question_answering", False, mode)
    both = averaged(
        student,
        [two, one],
        [entry_logits(all_of_it, wide, predict(teacher, all_of_it)), logits],
        [0.5, 0.5],
        kind,
    )
    objective = DistillationObjective("question_answering", both, alpha=0.0, temperature=2.0, kind=kind)
    assert torch.isfinite(objective(outputs_of(toy_model("question_answering", seed=1), batch), batch))


def test_regression_on_several_teachers_answers_takes_the_mean_of_their_logits() -> None:
    split = toy_split("question_answering", 2, 6)
    layout = layout_of(split)
    alignment = align(layout, layout, "question_answering", True)
    logits = [np.random.default_rng(seed).normal(size=(layout.entries, 2)) for seed in (1, 2)]
    targets = averaged(layout, [alignment] * 2, logits, [0.25, 0.75], "mse")
    np.testing.assert_allclose(targets._logits, 0.25 * logits[0] + 0.75 * logits[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("task_type", TYPES)
def test_twice_the_same_teacher_is_one_teacher(task_type: Any) -> None:
    teacher = toy_model(task_type, seed=9)
    split, cached, _ = targets_of(task_type, 3, "first_subword", teacher, max_length=18)
    layout = layout_of(split)
    both = averaged(layout, [cached.alignment] * 2, [cached._logits] * 2, [0.3, 0.7])
    batch = split.batch(np.arange(10), 0)
    outputs = outputs_of(toy_model(task_type, seed=1), batch)
    one, two = (
        DistillationObjective(task_type, targets, alpha=0.0, temperature=1.0, kind="kl")(
            outputs, batch
        ).item()
        for targets in (cached, both)
    )
    assert two == pytest.approx(one, rel=1e-4)


def test_several_teachers_are_averaged_by_weight_over_those_that_have_the_word() -> None:
    student = layout_of(toy_split("token_classification", 2))
    sizes = ((2, 64), (3, 8))
    teachers = [
        layout_of(toy_split("token_classification", size, max_length=length)) for size, length in sizes
    ]
    alignments = [align(student, teacher, "token_classification", False) for teacher in teachers]
    logits = [
        np.full((teacher.entries, 3), value) for teacher, value in zip(teachers, (1.0, 5.0), strict=True)
    ]
    targets = averaged(student, alignments, logits, [0.75, 0.25])
    values = targets._logits[targets.alignment.pairs[0].sources]
    shared = int((values == 2.0).all(axis=1).sum())
    assert shared == teachers[1].entries and (values == 1.0).all(axis=1).sum() == student.entries - shared


def test_a_students_softmax_runs_over_what_every_teachers_window_covers() -> None:
    context = np.array([[2, 10]])
    alignments = [Alignment("boundary", (), np.array([known]), context, {}) for known in ([2, 8], [4, 10])]
    known, whole = ensemble._common_spans(alignments)
    assert known is not None and whole is not None
    assert (known.tolist(), whole.tolist()) == ([[4, 8]], [[2, 10]])


# ---- objectives from caches


def toy_cache(task_type: Any, size: int, classes: int) -> LogitCache:
    layout = layout_of(toy_split(task_type, size))
    return LogitCache(layout, np.zeros((layout.entries, classes)), toy_meta())


def test_answers_of_another_vocabulary_are_aligned_as_the_student_learns() -> None:
    kind: Any = "question_answering"
    learning = StudentLearning(patience=None, answer_alignment="boundary")
    objective = cached_objective([toy_cache(kind, 2, 2)], task(kind), toy_split(kind, 3), learning)
    assert objective.targets.alignment.mode == "boundary"


def test_logits_of_too_few_classes_are_refused() -> None:
    kind: Any = "token_classification"
    with pytest.raises(MismatchError, match="have 2 classes, the task has 3"):
        cached_objective(
            [toy_cache(kind, 2, 2)], task(kind), toy_split(kind, 3), StudentLearning(patience=None)
        )


# ---- teachers


def selection(folder: Path, model: str, loss: float | None, task: str = "ner") -> Path:
    path = folder / f"{model}.json"
    value = {
        "trial": {"model": model, "task": task},
        "best": {"loss": loss},
        "model_digest": "d",
    }
    write_record(path, value)
    return path


TOKENIZERS = dict.fromkeys("abc", "v")


def teacher_job(rule: str, choice: str | None = None, name: str = "NER") -> TeacherJob:
    candidates = {"a": "ALBETO xxlarge", "b": "RoBERTa-BNE base", "c": "BETO"}
    return TeacherJob(task_id="ner", task_name=name, rule=rule, choice=choice, candidates=candidates)


def test_the_lowest_validation_loss_teaches_and_ties_go_to_the_first(tmp_path: Path) -> None:
    files = [selection(tmp_path, *pair) for pair in (("c", 0.2), ("b", 0.2), ("a", None), ("stranger", 0.0))]
    chosen = choose_teacher(teacher_job("validation"), files, TOKENIZERS)
    assert (chosen["teacher"], chosen["tokenizers"]) == ("b", {"b": "v"})
    assert chosen["losses"] == {"a": None, "b": 0.2, "c": 0.2}
    with pytest.raises(MismatchError, match=r"none of the given files is the selection of c on 'ner'"):
        choose_teacher(teacher_job("validation"), files[1:], TOKENIZERS)
    files = [selection(tmp_path, model, None) for model in "abc"]
    with pytest.raises(ConfigurationError, match="no candidate has a finite"):
        choose_teacher(teacher_job("validation"), files, TOKENIZERS)


def test_several_teachers_are_the_best_by_validation_loss(tmp_path: Path) -> None:
    files = [selection(tmp_path, *pair) for pair in (("c", 0.2), ("b", 0.3), ("a", 0.9))]
    job = teacher_job("validation").model_copy(update={"number": 2})
    assert choose_teacher(job, files, TOKENIZERS)["weights"] == {"c": 0.5, "b": 0.5}
    weights = choose_teacher(job.model_copy(update={"weighting": "validation"}), files, TOKENIZERS)["weights"]
    assert weights["c"] / weights["b"] == pytest.approx(np.exp(0.1)) and sum(
        weights.values()
    ) == pytest.approx(1)
    assert choose_teacher(teacher_job("validation"), files, TOKENIZERS)["weights"] == {"c": 1.0}


def test_a_named_teacher_wins_over_every_rule(tmp_path: Path) -> None:
    files = [selection(tmp_path, "a", 0.9), selection(tmp_path, "b", 0.2)]
    chosen = choose_teacher(teacher_job("validation", choice="a"), files, TOKENIZERS)
    assert (chosen["teacher"], chosen["rule"]) == ("a", "list")
    with pytest.raises(ConfigurationError, match="no selection of its trials"):
        choose_teacher(teacher_job("list", choice="c"), files, TOKENIZERS)


def test_published_teachers_are_found_by_their_printed_names(tmp_path: Path) -> None:
    files = [selection(tmp_path, model, 0.5) for model in "abc"]
    assert choose_teacher(teacher_job("published"), files, TOKENIZERS)["teacher"] == "b"
    assert choose_teacher(teacher_job("published", name="TAR/XQuAD"), files, TOKENIZERS)["teacher"] == "a"
    with pytest.raises(ConfigurationError, match="the thesis has no teacher for task 'ner'"):
        choose_teacher(teacher_job("published", name="Sentiment"), files, TOKENIZERS)
    table = tmp_path / "teachers.csv"
    table.write_text("dataset,teacher\nNER,mBERT\n")
    with pytest.raises(ConfigurationError, match=r"requires mBERT .* not a model of this study"):
        published_teacher("ner", "NER", {"a": "BETO"}, table)


def test_the_published_table_is_complete() -> None:
    with PUBLISHED.open(newline="") as handle:
        assert len(list(csv.DictReader(handle))) == 8


def test_batches_without_any_counterpart_cost_nothing() -> None:
    empty = SimpleNamespace(
        items=torch.zeros(0, dtype=torch.long), positions=torch.zeros(0, dtype=torch.long)
    )
    empty.logits = torch.zeros(0, 3)
    alignment = align(*[layout_of(toy_split("token_classification", 2))] * 2, "token_classification", True)

    class Nothing:
        def __init__(self) -> None:
            self.alignment = alignment

        def __call__(self, batch: Any) -> Any:
            return (empty,)

    objective = DistillationObjective(
        "token_classification", Nothing(), alpha=0.0, temperature=1.0, kind="kl"
    )
    logits = torch.zeros(2, 5, 3, requires_grad=True)
    loss = objective(
        SimpleNamespace(logits=logits), toy_split("token_classification", 2).batch(np.arange(2), 0)
    )
    loss.backward()
    assert loss.item() == 0.0
