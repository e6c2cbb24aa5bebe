"""The workflow as a module of another one, and its entry in the catalog of workflows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.builders.workflow import POCKET, planned_jobs

SNAKEFILE = """
configfile: "config.yaml"

module ligero:
    snakefile: "{project}/Snakefile"
    config: config["ligero"]

use rule * from ligero as ligero_*

rule all:
    default_target: True
    input: "results/ligero/baselines/ner.json"
    output: "results/mine.json"
    shell: "cp {{input}} {{output}}"
"""


@pytest.fixture
def importing(project: Path, tmp_path: Path) -> Path:
    """The folder of a workflow with rules, settings and results of its own."""
    study = yaml.safe_load(POCKET.read_text(encoding="utf-8")) | {"results_dir": "results/ligero"}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"threshold": 3, "ligero": study}, sort_keys=False))
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(project=project))
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--workflow-profile", "none", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder)


@pytest.mark.slow
def test_every_job_of_the_study_is_planned_below_the_importing_workflow(importing: Path) -> None:
    planned = planned_jobs(run(importing, "-n", "-q", "rules", "--", "ligero_all"))
    expected = {
        "ligero_pretrain_model": 3,
        "ligero_finetune_model": 3,
        "ligero_distill_student": 2,
        "ligero_all": 1,
    }
    assert expected.items() <= planned.items()
    assert all(rule.startswith("ligero_") for rule in planned)


@pytest.mark.slow
def test_a_target_of_the_importing_workflow_is_made_from_one_of_the_study(importing: Path) -> None:
    done = run(importing)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (importing / "results/mine.json").read_bytes() == (
        importing / "results/ligero/baselines/ner.json"
    ).read_bytes()
    assert {path.name for path in importing.iterdir()} == {
        ".snakemake",
        "Snakefile",
        "config.yaml",
        "results",
    }


def test_rules_apart_from_the_library_are_refused_with_what_to_do(project: Path, tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    for name in ("Snakefile", "rules/common.smk", "config.yaml"):
        (tmp_path / name).write_text((project / name).read_text(encoding="utf-8"))
    done = run(tmp_path, "-n")
    assert done.returncode != 0
    assert (
        "the rules need the library and programs beside them. Clone the repository"
        in done.stdout + done.stderr
    )


def test_the_catalog_of_workflows_is_answered(project: Path) -> None:
    """Its keys: https://snakemake.github.io/snakemake-workflow-catalog"""
    usage = yaml.safe_load((project / ".snakemake-workflow-catalog.yml").read_text(encoding="utf-8"))["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert set(usage["mandatory-flags"]) == {"desc", "flags"}
    assert set(usage["software-stack-deployment"]) == {"conda", "apptainer", "apptainer+conda"}
    for environment in (project / "envs").glob("*.yaml"):
        assert yaml.safe_load(environment.read_text(encoding="utf-8"))["dependencies"]
