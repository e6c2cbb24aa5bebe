"""Trials packed into jobs by `trials_per_job: auto`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ligero.settings import plan
from ligero.settings.load import load_study
from ligero.settings.packing import TARGET, packed, trial_seconds
from ligero.settings.study import Study
from ligero.settings.yaml_files import read_yaml

START = 12.0
"""Seconds that a job needs before it trains: two Snakemakes, torch and transformers, weights and data."""


def thesis(project: Path, **changes: Any) -> Study:
    values = read_yaml(project / "config/thesis.yaml")
    for section in ("fine_tuning", "distillation"):
        values[section] |= {"trials_per_job": "auto"} | changes
    return load_study(values, project)


def lengths(study: Study) -> list[float]:
    """Seconds of every job that trains."""
    found = []
    for regime, system in plan.systems(study):
        for shard in plan.shards_of(study, regime, system):
            seconds = [plan.expected_seconds(study, regime, trial) for trial in shard]
            assert None not in seconds
            found.append(sum(filter(None, seconds)))
    return found


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ([600.0] * 6, [3, 3]),
        ([600.0] * 7, [2, 3, 2]),
        ([5.0] * 36, [36]),
        ([1.5 * TARGET] * 3, [1, 1, 1]),
        ([100.0, 4000.0, 100.0], [1, 1, 1]),
        ([None] * 3, [1, 1, 1]),
    ],
)
def test_jobs_are_as_few_as_the_target_allows_and_similarly_long(
    seconds: list[float | None], expected: list[int]
) -> None:
    jobs = packed(range(len(seconds)), seconds)
    assert [len(job) for job in jobs] == expected
    assert [trial for job in jobs for trial in job] == list(range(len(seconds)))


def test_the_thesis_spends_less_than_a_twentieth_of_its_time_on_starting_jobs(project: Path) -> None:
    """Of all jobs together, and of each; also where a GPU is four times faster than assumed, as a whole."""
    jobs = lengths(thesis(project))
    assert len(jobs) == 1960
    assert START * len(jobs) / sum(jobs) < 0.002
    assert max(START / (START + seconds) for seconds in jobs) < 0.05
    assert START * len(jobs) / (sum(jobs) / 4) < 0.01


def test_the_estimate_is_near_what_the_authors_measured(project: Path) -> None:
    """336 distillation runs took about 1080 GPU hours (resources/thesis/device_hours.csv), 3.2 each."""
    study = thesis(project)
    hours = [
        (plan.expected_seconds(study, "distillation", trial) or 0.0) / 3600
        for regime, student in plan.systems(study)
        if regime == "distillation"
        for trial in plan.trials_of(study, "distillation", student)
    ]
    assert 1080 / 336 / 2 < sum(hours) / len(hours) < 1080 / 336 * 2


def test_every_trial_is_in_one_job_and_a_job_is_of_one_task(project: Path) -> None:
    study = thesis(project)
    for regime, system in plan.systems(study):
        shards = plan.shards_of(study, regime, system)
        assert [trial for shard in shards for trial in shard] == plan.trials_of(study, regime, system)
        assert all(len({trial.task for trial in shard}) == 1 for shard in shards)


def test_jobs_do_not_depend_on_hardware_or_on_what_has_run(project: Path) -> None:
    """The same when the study is planned, when a job starts and when the finished study is planned again."""
    study = thesis(project)
    values = read_yaml(project / "config/thesis.yaml")
    values["hardware"]["training"] |= {"gpus": 2, "threads": 9}
    for section in ("fine_tuning", "distillation"):
        values[section]["trials_per_job"] = "auto"
    other = load_study(values, project)
    for regime, system in plan.systems(study):
        assert plan.shards_of(study, regime, system) == plan.shards_of(other, regime, system)


def test_of_a_task_of_unknown_size_each_trial_is_a_job(project: Path) -> None:
    study = thesis(project)
    task = study.tasks["ner"]
    train = task.splits.train.model_copy(update={"expected": None})
    unknown = task.model_copy(update={"splits": task.splits.model_copy(update={"train": train})})
    study = study.model_copy(update={"tasks": {**study.tasks, "ner": unknown}})
    shards = [
        shard for shard in plan.shards_of(study, "fine-tuning", "albeto-tiny") if shard[0].task == "ner"
    ]
    assert [len(shard) for shard in shards] == [1] * 36


@pytest.mark.parametrize(
    ("train", "max_length", "examples"),
    [
        ({"expected": 8000}, 512, 8000),
        ({"expected": 8000, "share": (0.0, 0.25)}, 512, 2000),
        ({"expected": 8000, "limit": 1000}, 512, 1000),
        ({"expected": 8000, "share": (0.0, 0.25), "limit": 3000}, 512, 2000),
        ({"expected": None, "limit": 1000}, 512, 1000),
        ({"expected": 8000}, 32, 4000),  # inputs of 32 tokens, and not of 64, are half the work
    ],
)
def test_a_trial_takes_as_long_as_the_examples_that_it_reads(
    project: Path, train: dict[str, Any], max_length: int, examples: int
) -> None:
    """Without the constant part of each step, which a batch of all examples makes small."""
    study = thesis(project)
    ner, shape = study.tasks["ner"], study.models["beto-uncased"].architecture

    def seconds(length: int | None, **changes: Any) -> float:
        whole = ner.splits.train.model_copy(
            update={"expected": None, "share": None, "limit": None, **changes}
        )
        splits = ner.splits.model_copy(update={"train": whole})
        task = ner.model_copy(update={"splits": splits, "max_length": length})
        return trial_seconds(10**9, 1, task, 512, shape, shape.num_hidden_layers) or 0.0

    assert seconds(max_length, **train) == pytest.approx(seconds(None, expected=examples), rel=0.01)
