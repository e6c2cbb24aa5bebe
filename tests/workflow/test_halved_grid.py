"""Successive halving in a whole study: what stopped is visible in tables and explanations, and everything still follows from its files."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
import yaml

from ligero.command.main import main as ligero
from tests.builders.workflow import POCKET, Snakemake

pytestmark = pytest.mark.slow


def test_a_halved_grid_is_explained_and_verified(
    pocket: Path, snakemake: Snakemake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The pocket study's text and weights; one model, one task, three rates of which one is trained to its end."""
    folder = tmp_path / "study"
    others = shutil.ignore_patterns("scores", "selection", "models", "predictions", "ablation", "exports")
    shutil.copytree(pocket.parent, folder, ignore=others)
    config = yaml.safe_load(POCKET.read_text(encoding="utf-8"))
    for section in ("distillation", "teachers", "ablation"):
        del config[section]
    config["models"] = {"beto-cased": config["models"]["beto-cased"]}
    config["tasks"] = {"ner": config["tasks"]["ner"]}
    grid = {"batch_size": [16], "epochs": [2], "learning_rate": ["1e-3", "5e-4", "1e-5"]}
    config["fine_tuning"] |= {"grid": grid, "trials_per_job": "auto", "halving": {"factor": 3}}
    path = tmp_path / "halved.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    tables = [f"results/tables/{name}.csv" for name in ("best_hyperparameters", "sequence_tagging")]
    done = snakemake("--", "grids", *tables, configfile=path, folder=folder)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-5000:]
    results = folder / "results"
    trials = rows(results / "grids" / "trials.csv")
    assert sorted(trial["ended_by"] for trial in trials) == ["epochs", "halving", "halving"]
    assert [trial["ended_by"] for trial in trials if trial["selected"] == "yes"] == ["epochs"]
    places = sorted(trial["notes"] for trial in trials if trial["ended_by"] == "halving")
    assert places == [f"place {place} of 3 after epoch 1, of which 1 continued" for place in (2, 3)]
    (halving,) = rows(results / "grids" / "halving.csv")
    assert (halving["stopped"], halving["steps_saved"]) == ("2", "33.3 %")
    (chosen,) = rows(results / "tables" / "best_hyperparameters.csv")
    assert (chosen["trials"], chosen["notes"]) == ("3", "successive halving stopped 2 trials early")
    table = str(results / "tables" / "sequence_tagging.csv")
    assert ligero(["why", table, "BETO cased", "ner_f1"]) == 0
    assert capsys.readouterr().out.count("stopped early by halving") == 2
    assert ligero(["why", table, "--all", "--recompute"]) == 0, capsys.readouterr().out
    assert ligero(["verify", str(results)]) == 0, capsys.readouterr().out


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))
