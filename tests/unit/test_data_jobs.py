"""What baselines depend on, and how folders of the user's own are noticed to have changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ligero.common.hashing import fingerprint_files
from ligero.settings.jobs import baseline_job, digest, documents_fingerprint, local_files
from ligero.settings.load import load_study
from ligero.settings.program import write_resolved

PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("path", "value", "changes"),
    [
        ("tasks.ner.labels", ["O", "B-PER", "I-PER"], True),
        ("fine_tuning.options.seed", 7, True),
        ("tasks.ner.max_length", 32, False),
        ("tasks.ner.grid", {"epochs": [9]}, False),
        ("tasks.ner.distillation_grid", {"epochs": [9]}, False),
        ("tasks.pos.labels", ["X", "Y"], False),
    ],
)
def test_a_baseline_depends_on_its_task_and_seed(
    default_config: dict[str, Any], path: str, value: Any, changes: bool
) -> None:
    before = digest(baseline_job(load_study(default_config, PROJECT), "ner"))
    *parents, key = path.split(".")
    place = default_config
    for parent in parents:
        place = place.setdefault(parent, {})
    place[key] = value
    assert (digest(baseline_job(load_study(default_config, PROJECT), "ner")) != before) == changes


def test_the_program_refuses_other_settings_than_planned(
    default_config: dict[str, Any], tmp_path: Path
) -> None:
    write_resolved(tmp_path / "config.json", load_study(default_config, PROJECT))
    command: list[Any] = [sys.executable, PROJECT / "workflow/scripts/score_baselines.py", "--task", "ner"]
    command += ["--config", tmp_path / "config.json", "--examples", tmp_path, "--out", tmp_path / "out.json"]
    done = subprocess.run([*command, "--expect", "0" * 16], capture_output=True, text=True)
    assert done.returncode != 0 and "planned with settings 0000" in done.stderr
    assert not (tmp_path / "out.json").exists()


def test_a_fingerprint_sees_names_sizes_and_times(tmp_path: Path) -> None:
    assert fingerprint_files(tmp_path / "rcv", ".xml") == "absent"
    document = tmp_path / "rcv" / "REUTES1" / "1.xml"
    document.parent.mkdir(parents=True)
    document.write_text("uno")
    os.utime(document, ns=(10**18, 10**18))
    seen = [fingerprint_files(tmp_path / "rcv", ".xml")]
    (tmp_path / "rcv" / "readme.txt").write_text("no document")
    assert fingerprint_files(tmp_path / "rcv", ".xml") == seen[0]
    os.utime(document, ns=(10**18, 10**18 + 1))
    seen.append(fingerprint_files(tmp_path / "rcv", ".xml"))
    document.write_text("cuatro")
    os.utime(document, ns=(10**18, 10**18))
    seen.append(fingerprint_files(tmp_path / "rcv", ".xml"))
    document.rename(document.with_name("2.xml"))
    seen.append(fingerprint_files(tmp_path / "rcv", ".xml"))
    assert len(set(seen)) == len(seen)


def test_folders_of_a_study(default_config: dict[str, Any], tmp_path: Path) -> None:
    default_config["tasks"]["mldoc"]["rcv_dir"] = str(tmp_path)
    model = default_config["models"]["bertin"]
    del model["tokenizer"]
    model |= {"weights": "local", "local": str(tmp_path / "m")}
    (tmp_path / "m").mkdir()
    for name in ("config.json", "model.safetensors", ".hidden"):
        (tmp_path / "m" / name).touch()
    study = load_study(default_config, PROJECT)
    assert documents_fingerprint(study, "ner") == "" != documents_fingerprint(study, "mldoc")
    found = local_files(study, "bertin")
    assert [Path(path).name for path in found] == ["config.json", "model.safetensors"]
    assert local_files(study, "albeto-tiny") == []
