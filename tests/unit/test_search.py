"""The section `search`: which searches it names, and what each depends on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ligero.common.errors import ConfigurationError, DataError
from ligero.distillation.search import open_search, read_search
from ligero.reporting.searches import best_table
from ligero.settings import jobs
from ligero.settings.jobs import search_job
from ligero.settings.load import load_study
from ligero.settings.plan import searches


def test_students_and_tasks_are_all_or_those_named(default_config: dict[str, Any], project: Path) -> None:
    assert searches(load_study(default_config, project)) == []
    default_config["search"] = {}
    everything = searches(load_study(default_config, project))
    assert len(everything) == 6 * 8
    default_config["search"] = {"students": ["albeto-tiny"], "tasks": ["ner", "xnli"]}
    assert searches(load_study(default_config, project)) == [("albeto-tiny", "ner"), ("albeto-tiny", "xnli")]
    default_config["search"] = {"students": ["albeto"], "tasks": ["nerd"]}
    with pytest.raises(
        ConfigurationError, match=r"(?s)search.students: no student 'albeto'.*search.tasks: no task 'nerd'"
    ):
        load_study(default_config, project)


def test_a_search_depends_on_what_its_trials_have_in_common(
    default_config: dict[str, Any], project: Path
) -> None:
    def digest() -> str:
        return jobs.digest(search_job(load_study(default_config, project), "albeto-base-4", "ner"))

    before = digest()
    # Every trial brings its own loss, alpha, temperature and rate.
    default_config["distillation"] |= {"alpha": 0.5, "temperature": 2.0, "loss": "mse"}
    default_config["distillation"]["grid"]["learning_rate"] = ["7e-5"]
    student = default_config["distillation"]["students"]["albeto-base-4"]
    student["grid"] = {**student["grid"], "learning_rate": ["8e-5"]}
    assert digest() == before
    default_config["search"] = {"trials": 7, "epochs": 3, "workers": 5}
    job = search_job(load_study(default_config, project), "albeto-base-4", "ner")
    assert (job.trials, job.trial.epochs, job.trial.task, list(job.shard.tasks)) == (7, 3, "ner", ["ner"])
    changed = digest()
    assert changed != before
    default_config["search"]["workers"] = 1
    assert digest() == changed
    default_config["search"]["batch_size"] = 16
    assert digest() != changed


def test_the_search_re_makes_no_table_and_no_trial(default_config: dict[str, Any], project: Path) -> None:
    before = load_study(default_config, project)
    default_config["search"] = {"trials": 3}
    after = load_study(default_config, project)
    for cut in (jobs.reporting_job, lambda study: jobs.shard_job(study, "distillation", "albeto-tiny", 0)):
        assert jobs.digest(cut(before)) == jobs.digest(cut(after))


def test_a_journal_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "search.journal"
    with pytest.raises(DataError, match="no such journal"):
        read_search(path, "a-b")
    open_search(path, "a-b", "x", max_epochs=3)
    assert read_search(path, "a-b").study_name == "a-b"
    with pytest.raises(DataError, match="holds no search 'other'"):
        read_search(path, "other")


def test_the_best_of_each_loss_is_printed_for_readers() -> None:
    row = {
        "number": 3,
        "state": "complete",
        "validation_loss": 0.123456,
        "epochs": 4,
        "loss": "mse",
        "alpha": 0.51234,
        "temperature": 2.0,
        "learning_rate": 3.21e-05,
    }
    (cells,) = best_table([row], "sample").to_dict("records")
    assert (cells["validation_loss"], cells["alpha"], cells["learning_rate"]) == (
        "0.1235",
        "0.512",
        "3.21e-05",
    )
    assert cells["scale"] == "sample" and "ignores" in cells["notes"]
    (cells,) = best_table([{**row, "loss": "kl"}], "sample").to_dict("records")  # type: ignore[list-item]
    assert (cells["temperature"], cells["notes"]) == ("2", None)
