"""What the workflow plans and refuses, without running it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from ligero.reporting.planned import planned_jobs as jobs_of_study
from ligero.settings.load import load_study, without_missing_weights
from ligero.settings.yaml_files import read_yaml
from tests.builders.provenance import taught_by_states
from tests.builders.workflow import POCKET, Snakemake, planned_jobs

pytestmark = pytest.mark.slow


def test_the_published_study_plans_the_published_grids(
    snakemake: Snakemake, project: Path, tmp_path: Path
) -> None:
    done = snakemake("-n", "--", "all", configfile=project / "config/thesis.yaml", folder=tmp_path)
    planned = planned_jobs(done)
    assert planned == jobs_without_snakemake(project / "config/thesis.yaml", project)
    assert planned["finetune_model"] == 11 * 8 * 36
    assert planned["distill_student"] == 6 * 8 * 6
    assert planned["pretrain_model"] == 5
    assert planned["prepare_weights"] == 6
    readme = (project / "README.md").read_text(encoding="utf-8")
    said = readme[readme.index("The published study plans") :].split("\n\n")[0]
    assert f"{sum(planned.values()):,} jobs" in said
    named = {rule: count for rule, count in planned.items() if rule in said}
    assert sum(named.values()) + int(re.search(r"(\d+) single ones", said)[1]) == sum(planned.values())  # type: ignore[index]
    assert all(count == 1 for rule, count in planned.items() if rule not in named)


def test_the_efficiency_table_needs_neither_data_nor_weights(
    snakemake: Snakemake, project: Path, tmp_path: Path
) -> None:
    goal = "results/thesis/tables/efficiency.csv"
    done = snakemake("-n", "--", goal, configfile=project / "config/thesis.yaml", folder=tmp_path)
    assert planned_jobs(done) == {"make_table": 1, "measure_efficiency": 1}


def test_the_default_study_plans_all_17_systems(snakemake: Snakemake, project: Path, tmp_path: Path) -> None:
    done = snakemake("-n", "--", "all", configfile=project / "config.yaml", folder=tmp_path)
    planned = planned_jobs(done)
    assert planned == jobs_without_snakemake(project / "config.yaml", project)
    assert (planned["finetune_model"], planned["distill_student"], planned["select_trials"]) == (11, 6, 17)


def test_a_comparison_of_methods_is_planned_without_snakemake_too(
    snakemake: Snakemake, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the project's folder may have the model's weights
    config = project / "config/spanish-sample.yaml"
    done = snakemake("-n", "--", "all", configfile=config, config=("mirror=null",), folder=tmp_path)
    assert planned_jobs(done) == jobs_without_snakemake(config, project, mirror=None)


def test_a_teacher_of_pretraining_is_planned_without_snakemake_too(
    snakemake: Snakemake, project: Path, tmp_path: Path
) -> None:
    config = taught_by_states(read_yaml(project / "config.yaml"))
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    done = snakemake("-n", "--", "all", configfile=path, folder=tmp_path)
    planned = planned_jobs(done)
    assert planned["cache_states"] == 1
    assert planned == jobs_without_snakemake(path, project)


def jobs_without_snakemake(configfile: Path, project: Path, **changes: object) -> dict[str, int]:
    """Number of jobs a rule, as `ligero status` and `ligero plan` count them, and the target itself."""
    study = without_missing_weights(load_study({**read_yaml(configfile), **changes}, project))
    return dict(Counter(job.rule for job in jobs_of_study(study))) | {"all": 1}


def test_an_unknown_key_ends_at_parse_time(snakemake: Snakemake, tmp_path: Path) -> None:
    done = snakemake("-n", "--", "all", config=("fine_tunning={}",), folder=tmp_path)
    assert done.returncode != 0
    assert "did you mean 'fine_tuning'?" in done.stdout + done.stderr
    assert f"{POCKET}: the configuration has errors:" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda text: text[: len(text) // 2].rsplit("\n", 1)[0] + "\nMadrid", ["esp.train:41", "truncated"]),
        (lambda text: text.replace("B-LOC", "B-PLACE", 1), ["esp.train", "B-PLACE"]),
    ],
)
def test_bad_files_end_with_file_and_line(
    snakemake: Snakemake, tmp_path: Path, damage: object, words: list[str]
) -> None:
    """A mirror with a damaged CoNLL file and no checksum to catch it first."""
    mirror = tmp_path / "mirror"
    sentence = "La DA O\nCoruña NC B-LOC\n, Fc O\n\n"
    for name in ("esp.train", "esp.testa", "esp.testb"):
        (mirror / "bad").mkdir(parents=True, exist_ok=True)
        text = sentence * 20
        (mirror / "bad" / name).write_text(damage(text) if name == "esp.train" else text, encoding="utf-8")  # type: ignore[operator]
    config = yaml.safe_load(POCKET.read_text(encoding="utf-8"))
    config["mirror"] = str(mirror)
    files = {"train": "esp.train", "validation": "esp.testa", "test": "esp.testb"}
    config["sources"] = {f"bad-{split}": {"path": f"bad/{name}"} for split, name in files.items()}
    for split in files:
        config["tasks"]["ner"]["splits"][split]["sources"] = [f"bad-{split}"]
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    done = snakemake("--", "results/tasks/ner/info.json", configfile=path, folder=tmp_path)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert all(word in said for word in words), said[-2000:]
    assert "Traceback" not in said


def test_the_default_study_is_found_from_every_folder(project: Path, tmp_path: Path) -> None:
    """Its own file stands beside the Snakefile; results go to the working folder."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(project / "Snakefile"), "-n"]
    command += ["--directory", str(tmp_path), "--cores", "1", "--", "results/benchmarks/efficiency.json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert planned_jobs(done)["measure_efficiency"] == 1


def test_studies_without_their_section_say_so(snakemake: Snakemake, tmp_path: Path) -> None:
    done = snakemake("-n", "--", "searches", folder=tmp_path)
    assert done.returncode != 0
    assert "the target 'searches' needs this section" in done.stdout + done.stderr


def test_what_is_left_out_is_said_before_a_target_is_missed(
    snakemake: Snakemake, project: Path, tmp_path: Path
) -> None:
    goal, config = "results/spanish-sample/tables/ablation.csv", project / "config/spanish-sample.yaml"
    done = snakemake("-n", "--", goal, configfile=config, config=("mirror=null",), folder=tmp_path)
    assert done.returncode != 0 and "MissingRuleException" in done.stdout + done.stderr
    assert done.stderr.count("multilingual-e5-small is left out: its local weights") == 1


def test_a_key_that_stands_twice_ends_at_parse_time(snakemake: Snakemake, tmp_path: Path) -> None:
    path = tmp_path / "twice.yaml"
    path.write_text(POCKET.read_text(encoding="utf-8") + "tasks: {}\n", encoding="utf-8")
    done = snakemake("-n", "--", "all", configfile=path, folder=tmp_path)
    assert done.returncode != 0
    assert "the key 'tasks' is already in line" in done.stdout + done.stderr
