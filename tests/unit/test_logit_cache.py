"""The cache of teacher logits: exact, resumable, and refused wherever it does not belong."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ligero.common.errors import DataError, MismatchError
from ligero.common.records import DamagedError, read_record, write_record
from ligero.distillation import teacher_logits
from ligero.distillation.cached_objectives import CachedObjectives
from ligero.distillation.digests import check_cache, logit_digests, tokens_digest
from ligero.distillation.logit_cache import LogitCache, cache_digest, write_logits
from ligero.distillation.records import LogitsMeta
from ligero.distillation.targets import check_classes
from ligero.distillation.token_layout import layout_of
from ligero.models.digests import write_weights_digest
from ligero.settings.jobs import LogitsJob, StudentLearning, TaskSpec
from ligero.settings.training import TrainingOptions
from ligero.tokenizers.fast_tokenizer import TokenizerInfo
from ligero.training.evaluate import predict
from ligero.training.features import EncodedSplit
from tests.builders.distillation import LABELS, toy_model, toy_split
from tests.builders.encoding import LABELS as TAGS
from tests.builders.encoding import TAGGED, encoded, place, prepared

TYPES = ("sequence_classification", "token_classification", "question_answering")
DEPENDS_ON = {"weights": "w", "encoder": "e", "labels": list(LABELS), "examples": "x", "tokens": "t"}


def cached(folder: Path, task_type: Any, dtype: Any = "float32", part_tokens: int = 100) -> LogitCache:
    split = toy_split(task_type, 2, max_length=20)
    digest = cache_digest(DEPENDS_ON)
    parts = teacher_logits.compute_parts(
        toy_model(task_type), split, folder / "state", digest, dtype=dtype, part_tokens=part_tokens
    )
    assert len(parts) > 2
    return teacher_logits.assemble(
        parts,
        folder / "cache",
        split,
        LogitsMeta(task="toy", teacher="t", depends_on=DEPENDS_ON, together={"t": 1.0}),
    )


@pytest.mark.parametrize("task_type", TYPES)
def test_cached_logits_are_the_teachers_own(task_type: Any, tmp_path: Path) -> None:
    split = toy_split(task_type, 2, max_length=20)
    layout = layout_of(split)
    expected = teacher_logits.entry_logits(split, layout, predict(toy_model(task_type), split))
    cache = cached(tmp_path, task_type)
    assert cache.layout.equals(layout)
    np.testing.assert_allclose(cache.logits, expected, atol=1e-5)
    assert not cache.logits.flags.owndata  # mapped, not read
    half = cached(tmp_path / "half", task_type, "float16")
    assert half.logits.dtype == np.float16
    np.testing.assert_allclose(half.logits, expected, rtol=2e-3, atol=2e-3)


def test_a_killed_job_continues_with_the_parts_that_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = cached(tmp_path / "whole", "token_classification")
    calls: list[int] = []
    genuine = teacher_logits.predict

    def counting(model: Any, split: Any, **options: Any) -> Any:
        calls.append(len(split))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return genuine(model, split, **options)

    monkeypatch.setattr(teacher_logits, "predict", counting)
    with pytest.raises(KeyboardInterrupt):
        cached(tmp_path / "killed", "token_classification")
    finished = len(list((tmp_path / "killed" / "state").glob("part-*.json")))
    resumed = cached(tmp_path / "killed", "token_classification")
    parts = len(teacher_logits.part_bounds(toy_split("token_classification", 2, max_length=20).lengths, 100))
    assert finished == 2 and len(calls) == 3 + parts - 2
    assert resumed.logits.tobytes() == whole.logits.tobytes()
    files = [(tmp_path / run / "cache" / "logits.arrow").read_bytes() for run in ("whole", "killed")]
    assert files[0] == files[1]
    records = (tmp_path / "killed" / "state").glob("part-*.json")
    assert all(read_record(path)["seconds"] >= 0 for path in records)


def test_memory_that_ran_out_is_noted_and_holds_for_all_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split, model = (
        toy_split("sequence_classification", 2, max_length=20),
        toy_model("sequence_classification"),
    )
    forward, batches = model.forward, []

    def hungry(*args: Any, **inputs: Any) -> Any:
        batches.append(len(inputs["input_ids"]))
        if batches[-1] > 2:
            raise torch.AcceleratorError("CUDA error: out of memory")
        return forward(*args, **inputs)

    monkeypatch.setattr(model, "forward", hungry)

    def parts() -> list[Path]:
        return teacher_logits.compute_parts(
            model, split, tmp_path, "f", dtype="float32", part_tokens=50, max_features=4
        )

    found = parts()
    expected = teacher_logits.compute_parts(
        toy_model("sequence_classification"), split, tmp_path, "g", dtype="float32", part_tokens=50
    )
    for one, other in zip(found, expected, strict=True):
        logits = [
            teacher_logits.read_logits(p, split.task_type, name)[1] for p, name in ((one, "f"), (other, "g"))
        ]
        np.testing.assert_allclose(logits[0], logits[1], atol=1e-5)
    halvings = [{"from": 4, "to": 2}]
    assert teacher_logits.halvings_of(tmp_path, "f") == halvings and not teacher_logits.halvings_of(
        tmp_path, "g"
    )
    assert len(found) > 2 and sum(size > 2 for size in batches) == 1
    found[-1].with_suffix(".json").unlink()  # as if killed before the last part
    batches.clear()
    assert parts() == found and max(batches) <= 2
    assert teacher_logits.halvings_of(tmp_path, "f") == halvings


def test_parts_cover_every_feature_once() -> None:
    lengths = np.array([5, 300, 2, 2, 2, 90, 10])
    bounds = teacher_logits.part_bounds(lengths, 100)
    assert [feature for start, stop in bounds for feature in range(start, stop)] == list(range(7))


def test_logits_that_do_not_fit_the_precision_are_refused(tmp_path: Path) -> None:
    layout = layout_of(toy_split("sequence_classification", 2, 2))
    with np.errstate(over="ignore"):
        logits = np.array([[1.0, 2.0], [1e6, 0.0]]).astype(np.float16)
    with pytest.raises(DataError, match="set it to float32"):
        write_logits(tmp_path / "x.arrow", "sequence_classification", layout, logits, "f")


def test_meta_and_logits_of_different_runs_are_refused(tmp_path: Path) -> None:
    cached(tmp_path, "sequence_classification")
    meta_path = tmp_path / "cache" / "meta.json"
    meta = read_record(meta_path)
    meta["depends_on"]["weights"] = "retrained"
    write_record(meta_path, meta)
    with pytest.raises(MismatchError, match="another teacher"):
        LogitCache.open(tmp_path / "cache")
    (tmp_path / "cache" / "logits.arrow").write_bytes(b"damaged")
    with pytest.raises(DamagedError, match=r"logits\.arrow: it was changed .*--forcerun cache_logits"):
        LogitCache.open(tmp_path / "cache")


def save_teacher(folder: Path, task_type: Any, labels: Sequence[str]) -> None:
    model = toy_model(task_type)
    model.config.id2label = dict(enumerate(labels))
    model.config.label2id = {label: index for index, label in enumerate(labels)}
    model.save_pretrained(folder)
    (folder / "fast_tokenizer.json").write_text("{}")
    TokenizerInfo("toy", False, 1, {}, False, 0).write(folder)
    write_weights_digest(folder)


@pytest.fixture
def teacher(tmp_path: Path) -> dict[str, Any]:
    """A teacher's folder and encoded task on disk, and the meta.json of its logits."""
    folder, encoded = tmp_path / "teacher", tmp_path / "encoded"
    save_teacher(folder, "sequence_classification", LABELS)
    write_record(encoded / "info.json", {**place(encoded), "examples_digests": {"train": "data"}})
    split = toy_split("sequence_classification", 2)
    depends_on = logit_digests(folder, "sequence_classification", LABELS, split, encoded)
    meta = {
        "task": "toy",
        "task_type": "sequence_classification",
        "depends_on": depends_on,
    }
    return {"folder": folder, "encoded": encoded, "split": split, "meta": meta}


def check(teacher: dict[str, Any], **changes: Any) -> None:
    expected = {
        "task": "toy",
        "task_type": "sequence_classification",
        "labels": LABELS,
        "encoded": teacher["encoded"],
        "teacher": teacher["folder"],
    }
    check_cache(teacher["meta"], Path("logits/toy"), **{**expected, **changes})


def test_logits_that_belong_pass(teacher: dict[str, Any]) -> None:
    check(teacher)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"task": "other"}, "another task"),
        ({"task_type": "token_classification"}, "another task type"),
        ({"labels": ("B", "A", "C")}, "another label list"),
    ],
)
def test_logits_of_another_task_or_label_order_are_refused(
    teacher: dict[str, Any], change: dict[str, Any], named: str
) -> None:
    with pytest.raises(MismatchError, match=named):
        check(teacher, **change)


def test_logits_of_other_data_are_refused(teacher: dict[str, Any]) -> None:
    folder = teacher["encoded"]
    write_record(folder / "info.json", {**place(folder), "examples_digests": {"train": "grown"}})
    with pytest.raises(MismatchError, match="another training examples"):
        check(teacher)


def test_logits_of_a_teacher_that_was_trained_again_are_refused(teacher: dict[str, Any]) -> None:
    toy_model("sequence_classification", seed=1).save_pretrained(teacher["folder"])
    write_weights_digest(teacher["folder"])
    with pytest.raises(MismatchError, match=r"another teacher's weights.*--forcerun cache_logits"):
        check(teacher)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "fast_tokenizer.json").unlink(),
        lambda folder: (folder / "fast_tokenizer.json").write_text("{ }"),
        lambda folder: (folder / "tokenizer_info.json").unlink(),
        lambda folder: toy_model("sequence_classification", seed=1).save_pretrained(folder),
        lambda folder: (folder / "model.safetensors").unlink(),
    ],
)
def test_of_a_damaged_teacher_the_command_that_makes_it_again_is_named(
    teacher: dict[str, Any], damage: Callable[[Path], object]
) -> None:
    damage(teacher["folder"])
    with pytest.raises(DataError, match=r"--forcerun select_trials select_trial\."):
        logit_digests(
            teacher["folder"], "sequence_classification", LABELS, teacher["split"], teacher["encoded"]
        )
    with pytest.raises(DataError, match=r"--forcerun select_trials select_trial\."):
        check(teacher)


def test_logits_outlive_a_teacher_that_was_deleted(teacher: dict[str, Any]) -> None:
    shutil.rmtree(teacher["folder"])
    check(teacher)


def test_a_teacher_with_other_labels_is_refused(teacher: dict[str, Any]) -> None:
    with pytest.raises(MismatchError, match="labels are A, B, C, the task's are A, C, B"):
        logit_digests(
            teacher["folder"],
            "sequence_classification",
            ("A", "C", "B"),
            teacher["split"],
            teacher["encoded"],
        )


def test_the_number_of_classes_is_checked() -> None:
    with pytest.raises(MismatchError, match="have 4 classes, the task has 3"):
        check_classes(np.zeros((2, 4)), 3, "token_classification")


def test_equal_tokens_mean_one_vocabulary() -> None:
    split = toy_split("question_answering", 2)
    assert tokens_digest(split) == tokens_digest(toy_split("question_answering", 2))
    assert tokens_digest(split) != tokens_digest(toy_split("question_answering", 3))
    assert tokens_digest(split) != tokens_digest(replace(split, input_ids=split.input_ids + 1))


def write_two(folder: Path, of_the_second: str = "1", **together: float) -> dict[str, LogitCache]:
    """The caches of two teachers, t and u, of the given weights together; the second with these weights of its own."""
    split = toy_split("sequence_classification", 2, max_length=20)
    layout = layout_of(split)
    logits = np.zeros((layout.entries, len(LABELS)), np.float32)
    caches = {}
    for teacher, where, weights in (("t", folder, "0"), ("u", folder / "also" / "u", of_the_second)):
        depends_on = {**DEPENDS_ON, "weights": weights}
        meta = LogitsMeta(task="toy", teacher=teacher, depends_on=depends_on, together=together)
        LogitCache.write(where, split.task_type, layout, logits, meta)
        caches[teacher] = LogitCache.open(where)
    return caches


def test_the_first_teachers_record_changes_with_each_teachers_logits(tmp_path: Path) -> None:
    """Students' jobs depend on it alone."""

    def record(of_the_second: str) -> str:
        teacher_logits.record_caches(tmp_path, write_two(tmp_path, of_the_second, t=0.5, u=0.5))
        assert LogitCache.open(tmp_path).meta["together"] == {"t": 0.5, "u": 0.5}
        return (tmp_path / "meta.json").read_text()

    assert record("1") != record("2")
    assert record("1") == record("1")


def test_trials_with_other_weights_of_their_teachers_are_other_trials(tmp_path: Path) -> None:
    encoded = tmp_path / "encoded" / "toy"
    write_record(encoded / "info.json", {**place(encoded), "examples_digests": {"train": "x"}})
    spec = TaskSpec(type="sequence_classification", labels=LABELS, metric="accuracy")
    job: Any = SimpleNamespace(
        distillation=StudentLearning(patience=None), early_exit=False, tasks={"toy": spec}
    )

    def digest(**together: float) -> str:
        write_two(tmp_path / "logits" / "toy", **together)
        return CachedObjectives(job, tmp_path / "logits", encoded.parent, tmp_path / "models").digest("toy")

    assert digest(t=0.5, u=0.5) == digest(t=0.5, u=0.5) != digest(t=0.7, u=0.3)


def test_a_teacher_reads_the_students_words_and_its_precision_counts(tmp_path: Path) -> None:
    kind: Any = "token_classification"
    folder = encoded(tmp_path, prepared(tmp_path / "tasks", kind, TAGGED), kind, 32)
    save_teacher(tmp_path / "models" / "a" / "t", kind, TAGS)
    digests = []
    for precision in ("fp32", "bf16"):
        job = LogitsJob(
            task_id="t", task_type=kind, labels=TAGS, dtype="float32", micro_batch_size=None,
            precision=precision, max_words=1,
        )  # fmt: skip
        cache, _ = teacher_logits.build_cache(
            job,
            "a",
            models_dir=tmp_path / "models",
            encoded=folder,
            out=tmp_path / precision,
            state=tmp_path / "state",
            together={"a": 1.0},
        )
        split = EncodedSplit.load(folder / "train.parquet", kind, TrainingOptions(max_words=1))
        assert cache.layout.equals(layout_of(split)) and cache.layout.words.tolist() == [0, 0]
        digests.append(cache_digest(cache.meta["depends_on"]))
    assert digests[0] != digests[1]
