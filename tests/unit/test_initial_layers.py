"""Which layers of a deeper checkpoint a student starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from ligero.common.errors import ConfigurationError
from ligero.models.build import build_for_pretraining, make_config
from ligero.models.heads import load_for_task
from ligero.models.students import kept_layers
from ligero.models.weights import read_weights
from ligero.settings import jobs
from ligero.settings.load import load_study
from ligero.settings.study import Study
from ligero.training.planned_trials import group_digest
from tests.builders.encoding import place
from tests.builders.models import small_architecture

ROOT = Path(__file__).resolve().parents[2]
POCKET = yaml.safe_load((ROOT / "tests/workflow/pocket.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("which", "expected"), [("spread", [0, 2, 4]), ("first", [0, 1, 2]), ("last", [3, 4, 5])]
)
def test_the_kept_layers_of_six(which: Any, expected: list[int]) -> None:
    assert kept_layers(6, 3, which) == expected
    assert kept_layers(6, 6, which) == list(range(6))


@pytest.mark.parametrize(("which", "expected"), [("spread", [0, 2]), ("first", [0, 1]), ("last", [2, 3])])
def test_a_student_starts_with_the_weights_of_these_layers(
    which: Any, expected: list[int], tmp_path: Path
) -> None:
    build_for_pretraining(make_config(small_architecture("bert"), 60, 0), seed=1).save_pretrained(tmp_path)
    stored = read_weights(tmp_path)
    student = load_for_task(tmp_path, "token_classification", ["a", "b"], 2, initial_layers=which)
    query = "bert.encoder.layer.{}.attention.self.query.weight"
    state = student.state_dict()
    for new, old in enumerate(expected):
        assert torch.equal(state[query.format(new)], stored[query.format(old)])


def study_with(initial: str, **student: Any) -> Study:
    students = {"small": {"name": "Small", "initial": initial, "num_hidden_layers": 1, **student}}
    config = {key: value for key, value in POCKET.items() if key != "ablation"}
    return load_study({**config, "distillation": {**POCKET["distillation"], "students": students}}, ROOT)


def test_the_choice_is_part_of_a_trial_only_where_it_is_made() -> None:
    plain, last = (
        jobs.shard_job(study_with("beto-cased", **chosen), "distillation", "small", 0)
        for chosen in ({}, {"initial_layers": "last"})
    )
    assert jobs.digest(plain) != jobs.digest(last)


def test_trials_of_other_layers_are_another_group(tmp_path: Path) -> None:
    from ligero.common.records import write_record

    write_record(tmp_path / "info.json", {**place(tmp_path), "digests": {"train": "a", "validation": "b"}})
    groups = {
        group_digest(
            jobs.shard_job(study_with("beto-cased", initial_layers=which), "distillation", "small", 0),
            "ner",
            "weights",
            tmp_path,
            "gold",
        )
        for which in ("spread", "first", "last")
    }
    assert len(groups) == 3


def test_there_is_nothing_to_choose_among_shared_layers() -> None:
    with pytest.raises(ConfigurationError, match="share their weights"):
        study_with("albeto-base", initial_layers="first")
