"""`ligero recommend`: which system, at which limits, beside what needs no language model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from ligero.command.planning import Budget
from ligero.command.systems import (
    below_twin,
    cut_examples,
    printed_alternatives,
    printed_systems,
)
from ligero.command.train import _limits, below
from ligero.common.files import write_text
from ligero.common.records import read_record, write_record
from ligero.reporting.recommendation import (
    Alternative,
    Limits,
    System,
    alternatives,
    measured_systems,
    ranked,
)
from ligero.reporting.results import Results
from ligero.settings.load import load_study
from ligero.settings.yaml_files import read_yaml
from tests.builders.results import write_artefacts


def test_what_was_cut_is_said(project: Path, tmp_path: Path) -> None:
    study = load_study(read_yaml(project / "config" / "own-task.yaml"), project)
    results, task = Results(study, tmp_path), "complaints"
    model = next(iter(study.models))
    folder = Path(results.layout.encoded(model)) / task
    count = {"examples": 90, "truncated": 0}
    info = {"vocabulary": folder.parts[-2], "job": {"task_id": task, "max_length": 64}}
    write_record(folder / "info.json", {**info, "counts": {"train": count, "test": count}})
    assert cut_examples(results, task) == []
    cut = {"examples": 90, "truncated": 1200, "lost_words": 7}
    write_record(folder / "info.json", {**info, "counts": {"train": cut, "test": {**count, "lost_words": 2}}})
    (found,) = cut_examples(results, task)
    assert str(found).startswith(
        f"Cut at 64 tokens of {folder.parts[-2]}: 1,200 examples of train; 9 words are lost."
    )


def system(
    model: str, score: float, megabytes: float, milliseconds: float | None, regime: str = "distillation"
) -> System:
    return System(
        regime,
        model,
        model,
        score,
        score - 1,
        score + 1,
        megabytes,
        milliseconds,
        512 if milliseconds else None,
        "torch fp32",
        "f",
        model,
        int(1e6 * megabytes),
    )  # type: ignore[arg-type]


SYSTEMS = [
    system("teacher", 90, 400, 50, "fine-tuning"),
    system("twin", 86, 20, 5, "fine-tuning"),
    system("small", 85, 20, 5),
    system("tiny", 80, 5, 1),
    system("unmeasured", 95, 5, None),
]


@pytest.mark.parametrize(
    ("limits", "names"),
    [
        (Limits(milliseconds=5), ["twin", "small", "tiny"]),
        (Limits(megabytes=10), ["unmeasured", "tiny"]),
        (Limits(milliseconds=5, megabytes=10, score=80), ["tiny"]),
        (Limits(milliseconds=0.5), []),
        (Limits(macs=20e6), ["unmeasured", "twin", "small", "tiny"]),
    ],
)
def test_ranked_by_score_among_those_that_keep_the_limits(limits: Limits, names: list[str]) -> None:
    assert [kept.model for kept in ranked(SYSTEMS, limits)] == names


def test_of_equal_scores_the_smaller_system_is_first() -> None:
    larger, smaller = system("larger", 85, 20, 5), system("smaller", 85, 5, 5)
    assert ranked([larger, smaller], Limits()) == [smaller, larger]


def test_a_systems_figures_are_its_own(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it was trained, on each device, and as the graph that its export answers with."""
    study = load_study(read_yaml(project / "config" / "own-task.yaml"), project)
    write_artefacts(study, tmp_path)
    results, task, key = Results(study, tmp_path), "complaints", ("distillation", "albeto-tiny")
    path = Path(results.layout.efficiency)
    counted = read_record(path)
    counted["rows"][-1] |= {"bytes": 12_345_678, "parameters": 3_000_000, "macs": 7_000_000}
    write_record(path, counted)
    path = Path(results.layout.inference_speed)
    timed = read_record(path)
    cpu = {**timed["rows"][-1]["cpu"], "median_seconds": 0.00125, "mean_seconds": 1.0}
    timed["rows"][-1] |= {"cpu": cpu, "gpu": {**cpu, "median_seconds": 0.0002}}
    write_record(path, timed)
    path = Path(results.layout.score(*key, task))  # type: ignore[arg-type]
    scored = read_record(path)
    scored["scores"][0] |= {"score": 84.5, "intervals": {"accuracy": [80.0, 88.0]}}
    write_record(path, scored)
    trained = System(
        "distillation", "albeto-tiny", "albeto-tiny", 84.5, 80.0, 88.0, 12.345678, 1.25, study.speed.sequence_length, "torch fp32",
        results.layout.selected_model(*key, task), "albeto-tiny", 7_000_000,  # type: ignore[arg-type]
    )  # fmt: skip
    results = Results(study, tmp_path)
    assert measured_systems(results, task)[-1] == trained
    assert measured_systems(results, task, "gpu")[-1] == replace(trained, milliseconds=0.2)
    scores = {"fp32": (84.0, [79.0, 87.0]), "int8": (83.0, [78.0, 86.0])}
    manifest = SimpleNamespace(
        precision="int8",
        graphs={
            "fp32": SimpleNamespace(bytes=12_000_000, milliseconds=0.9, timed_tokens=17),
            "int8": SimpleNamespace(bytes=3_000_000, milliseconds=0.5, timed_tokens=17),
        },
        scores={
            name: {"score": score, "intervals": {"accuracy": ends}} for name, (score, ends) in scores.items()
        },
        exits={},
    )
    monkeypatch.setattr(Results, "export", lambda *_: manifest)
    folder = Path(results.layout.export(*key, task))  # type: ignore[arg-type]
    write_text(folder / "manifest.json", "{}")
    exported = replace(
        trained, score=83.0, low=78.0, high=86.0, megabytes=3.0, milliseconds=0.5, tokens=17, engine="ONNX int8", folder=str(folder)
    )  # fmt: skip
    assert measured_systems(results, task)[-1] == exported
    assert measured_systems(results, task, as_exported=False)[-1] == trained
    assert measured_systems(results, task, "gpu")[-1].engine == "torch fp32", "exports answer on CPUs"


def test_a_time_is_printed_with_the_length_that_was_timed() -> None:
    """In torch inputs of the study's length are timed, of an export one of median length: the column says which."""
    exported = replace(SYSTEMS[3], milliseconds=0.2, tokens=37, engine="ONNX int8")
    assert [line.split()[-4:] for line in printed_systems([SYSTEMS[1], exported, SYSTEMS[4]]).splitlines()[1:]] == [
        ["5.00", "512", "torch", "fp32"], ["0.20", "37", "ONNX", "int8"], ["-", "-", "torch", "fp32"],
    ]  # fmt: skip


def test_scores_are_cut_as_in_the_tables() -> None:
    line = printed_systems([replace(SYSTEMS[3], score=84.829, low=83.567, high=85.999)]).splitlines()[1]
    assert line.split()[2:6] == ["84.82", "83.56", "to", "85.99"]
    alternative = Alternative("n-grams", 84.829, 83.567, 85.999, 2.0, 0.25)
    assert "84.82 (83.56 to 85.99), 2.00 MB" in printed_alternatives([alternative])[0]


def test_what_a_system_does_not_keep_is_said_in_its_unit() -> None:
    limits = Limits(milliseconds=0.5, megabytes=4, score=84.83, macs=4e6)
    assert limits.broken_by(replace(SYSTEMS[3], score=84.829, milliseconds=1.25)) == [
        "1.25 ms is more than 0.5",
        "5.00 MB is more than 4",
        "5,000,000 MACs are more than 4,000,000",
        "84.82 points are less than 84.83",
    ]
    assert limits.broken_by(SYSTEMS[4])[0] == "its time was not measured on this device"
    exact = Limits(milliseconds=1, megabytes=5, score=80, macs=5e6)
    assert exact.broken_by(SYSTEMS[3]) == [], "a limit itself is kept"


def test_a_student_below_its_twin_is_named() -> None:
    twin, student = system("tiny", 81, 5, 1, "fine-tuning"), system("tiny", 80, 5, 1)
    assert below_twin([*SYSTEMS, twin]) == [(SYSTEMS[3], twin)]
    assert below_twin([system("tiny", 79, 5, 1, "fine-tuning"), student]) == []
    assert below_twin([system("tiny", 80.009, 5, 1, "fine-tuning"), student]) == [], "by 0.00 points"
    assert below(student, replace(twin, score=82.349)) == (
        "tiny (distilled) is 2.34 points below its fine-tuned twin (their intervals overlap, so it may be chance). Raise "
        "distillation.grid.epochs or learning_rate, or distillation.patience; see that the teacher itself is better than the twin."
    )
    assert "twin. Raise" in below(student, replace(twin, low=81.5))


def test_what_needs_no_language_model_is_printed_with_what_it_takes(project: Path, tmp_path: Path) -> None:
    study = load_study(read_yaml(project / "config" / "own-task.yaml"), project)
    write_artefacts(study, tmp_path)
    found = alternatives(Results(study, tmp_path), "complaints")
    cost = "50.00 (48.50 to 51.50), 2.00 MB, 0.25 ms."
    assert printed_alternatives(found) == [
        f"Without a language model (n-grams, logistic regression): {cost}",
        f"Without a language model (static embeddings of BETO cased, logistic regression): {cost}",
    ]
    path = tmp_path / "static_embeddings" / "complaints.json"
    path.unlink()
    assert printed_alternatives(alternatives(Results(study, tmp_path), "complaints"))[1] == (
        "Without a language model (static embeddings, logistic regression): not measured, "
        "run snakemake RESULTS/static_embeddings/complaints.json (RESULTS is the key results_dir)."
    )
    write_record(path, {"scored": None, "reason": "all training examples have the same label"})
    assert printed_alternatives(alternatives(Results(study, tmp_path), "complaints"))[1].endswith(
        "logistic regression): not measured, all training examples have the same label."
    )


def test_a_share_is_of_the_teachers_score() -> None:
    budgets = [Budget.read(text) for text in ("95%", "5ms", "10MB")]
    assert _limits(budgets, SYSTEMS) == Limits(milliseconds=5, megabytes=10, score=pytest.approx(85.5))
    assert _limits([], SYSTEMS) == Limits()


@pytest.mark.parametrize(("score", "chance"), [(83.5, False), (84.5, True)])
def test_a_student_whose_interval_overlaps_its_twins_may_be_below_by_chance(
    score: float, chance: bool
) -> None:
    """Both intervals are a point to each side."""
    said = below(system("twin", score, 20, 5), SYSTEMS[1])
    assert said.startswith(f"twin (distilled) is {86 - score:.2f} points below its fine-tuned twin")
    assert ("may be chance" in said) == chance
