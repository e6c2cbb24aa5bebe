"""The tables about models at the thesis' scale beside the thesis' own, cell by cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ligero.common.names import plain
from ligero.common.records import write_record
from ligero.efficiency.macs import measure
from ligero.reporting.published import read_table
from ligero.reporting.registry import make_table
from ligero.reporting.results import Results
from ligero.settings.jobs import efficiency_job
from ligero.settings.load import load_study
from ligero.settings.study import Study
from ligero.settings.yaml_files import read_yaml
from tests.builders.results import write_artefacts

ROOT = Path(__file__).resolve().parents[2]
HUB = {
    "beto-uncased": "dccuchile/bert-base-spanish-wwm-uncased",
    "bertin": "bertin-project/bertin-roberta-base-spanish",
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """The published study with its true sizes; nothing was downloaded yet."""
    study = load_study(read_yaml(ROOT / "config" / "thesis.yaml"), ROOT)
    root = tmp_path_factory.mktemp("thesis")
    write_artefacts(study, root)
    found = Results(study, root)
    write_record(found.layout.efficiency, measure(efficiency_job(study), {}))
    return found


def rows(frame: pd.DataFrame, column: str = "model") -> dict[str, dict[str, Any]]:
    return {str(row[column]): {str(key): value for key, value in row.items()} for _, row in frame.iterrows()}


def test_warm_up_ratios_are_the_five_that_the_thesis_prints(results: Results) -> None:
    frame = make_table("pretraining_details", results)
    assert list(frame["warmup_ratio"]) == ["1.25e-2", "6.25e-3", "3.12e-3", "7.81e-4", "7.81e-4"]
    assert list(frame["warmup_ratio"]) == [row["warmup_ratio"] for row in read_table("pretraining_details")]


def test_a_recipe_without_warm_up_prints_a_plain_zero(results: Results) -> None:
    values = results.study.model_dump(mode="json")
    values["models"]["albeto-tiny"]["pretraining"]["warmup_steps"] = 0
    again = Results(Study.model_validate(values), results.layout.root)
    assert rows(make_table("pretraining_details", again))["ALBETO tiny"]["warmup_ratio"] == "0"


def test_pretraining_details_are_the_published_ones(results: Results) -> None:
    """All but the days on a TPU, which the thesis measured on its own machine; a note says why the cell is empty."""
    measured = rows(make_table("pretraining_details", results))
    published = read_table("pretraining_details")
    assert list(measured) == [row["model"] for row in published]
    for row in published:
        ours = measured[row["model"]]
        for column in row.keys() - {"training_days_tpu_v3_8"}:
            assert str(ours[column]) == row[column], (row["model"], column)
        assert ours["training_days_tpu_v3_8"] is None and "TPU" in ours["notes"]


def test_albeto_configurations_are_the_published_ones(results: Results) -> None:
    measured = rows(make_table("albeto_configurations", results))
    published = read_table("albeto_configurations")
    assert list(measured) == [row["model"] for row in published]
    for row in published:
        assert {column: str(measured[row["model"]][column]) for column in row} == row
    assert measured["ALBETO tiny"]["exact_parameters"] == 5_345_075


def test_pretrained_models_are_the_published_ones(results: Results) -> None:
    """The thesis has one row for both BETO, and prints their vocabulary of 31,002 as 32K; a note tells of that."""
    measured = {plain(name): row for name, row in rows(make_table("pretrained_models", results)).items()}
    for row in read_table("pretrained_models"):
        both = [name + case for name in [plain(row["model"])] for case in ("uncased", "cased")]
        ours = [measured[name] for name in (both if row["model"] == "BETO" else [plain(row["model"])])]
        assert ", ".join(one["vocabulary_types"] for one in ours) == row["vocabulary_types"]
        for one in ours:
            different = {
                column: (str(one[column]), cell)
                for column, cell in row.items()
                if column not in ("model", "vocabulary_types") and str(one[column]) != cell
            }
            if row["model"] in ("BETO", "DistilBETO"):
                assert different == {"vocabulary": ("31K", "32K")}
                assert "the thesis prints a vocabulary of 32K" in one["notes"]
            else:
                assert not different, (row["model"], different)


def test_weights_without_a_commit_say_so(results: Results) -> None:
    measured = rows(make_table("pretrained_models", results))
    for name, model in (("BETO uncased", "beto-uncased"), ("BERTIN", "bertin")):
        assert measured[name]["weights"] == HUB[model]
        assert "no commit is pinned" in measured[name]["notes"]
    assert measured["ALBETO tiny"]["notes"] is None


def test_a_commit_of_earlier_weights_is_not_named(results: Results, tmp_path: Path) -> None:
    """The table waits for no download, so what lies there may be of another revision than the configuration's."""
    fetched = Results(results.study, tmp_path)
    write_record(fetched.layout.efficiency, measure(efficiency_job(results.study), {}))
    write_record(fetched.layout.weights_source("bertin"), {"hub": HUB["bertin"], "revision": "0123abc"})
    assert rows(make_table("pretrained_models", fetched))["BERTIN"]["weights"] == HUB["bertin"]
