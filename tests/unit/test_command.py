"""The program `ligero` itself: where it runs, its help, what every command refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from ligero.command.main import main
from ligero.common.errors import ConfigurationError, DataError, LigeroError
from ligero.common.files import write_text
from ligero.serving.app import Limits as ServerLimits
from ligero.serving.app import _listen
from ligero.settings.load import load_study
from ligero.settings.program import write_resolved
from ligero.settings.yaml_files import read_yaml


def test_help_imports_nothing_heavy(project: Path) -> None:
    heavy = ("torch", "transformers", "pandas", "numpy", "pydantic", "pyarrow", "yaml", "snakemake")
    code = (
        "import sys; from ligero.command.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        f"print([name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(project / "workflow")},
    )  # fmt: skip
    assert done.stderr.strip() == "[]" and "train" in done.stdout and "exit status" in done.stdout


def test_the_help_of_serve_has_the_limits_of_the_server(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    for name, value in asdict(ServerLimits()).items():
        described = said.rpartition(f" --{name.replace('_', '-')} ")[2]
        assert described.partition("(default: ")[2].partition(")")[0] == f"{value:.0f}", name


def test_the_program_works_from_another_folder_in_the_locale_c(project: Path, news: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(project / "workflow/scripts/run_command.py"), "check", "noticias.csv", "--text", "texto", "--label", "tema"],
        capture_output=True, cwd=news.parent, env={"LC_ALL": "C", "LANG": "C", "PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    assert "economía 50" in done.stdout.decode()


def test_the_command_runs_the_clone_whose_folder_it_is_called_in(project: Path, tmp_path: Path) -> None:
    clone, other, linked = tmp_path / "a clone", tmp_path / "other", tmp_path / "ligero"
    for folder in (clone, other):
        (folder / "workflow/scripts").mkdir(parents=True)
        (folder / "workflow/scripts/run_command.py").touch()
    (clone / "requirements.lock").touch()
    (clone / ".venv/bin").mkdir(parents=True)
    (clone / ".venv/.installed").touch()
    write_text(clone / ".venv/bin/python", '#!/bin/sh\necho "$@"\n')
    (clone / ".venv/bin/python").chmod(0o755)
    made = ["make", "-s", "-C", str(clone), "-f", str(project / "Makefile"), "setup"]
    assert "activate" in subprocess.run(made, capture_output=True, text=True, check=True).stdout
    assert subprocess.run(made, capture_output=True, text=True, check=True).stdout == ""
    (other / ".venv").symlink_to(clone / ".venv")
    linked.symlink_to(clone / ".venv/bin/ligero")
    for command, at in ((other / ".venv/bin/ligero", other), (linked, clone)):
        done = subprocess.run([command, "ls", "a b"], capture_output=True, text=True, check=True)
        assert done.stdout == f"{at}/workflow/scripts/run_command.py ls a b\n"
    inside = subprocess.run([".venv/bin/ligero"], capture_output=True, text=True, cwd=other)
    assert inside.stdout == f"{other}/workflow/scripts/run_command.py\n"


def test_bad_input_is_one_line_and_status_2(project: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(project / "workflow/scripts/run_command.py"), "check", "missing.csv"],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error: missing.csv: no such file.") and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "~nosuchuser/a.csv"],
        ["train", "NEWS", "--text", "texto", "--label", "tema", "--out", "~nosuchuser/a"],
        ["train", "NEWS", "--text", "texto", "--label", "tema", "--teacher", "~nosuchuser/a"],
        ["check", "NEWS", "--text", "texto", "--label", "tema", "--model", "~nosuchuser/a"],
        ["plan", "~nosuchuser/a.yaml"],
        ["export", "~nosuchuser/a"],
        ["status", "~nosuchuser/a"],
        ["why", "~nosuchuser/a.csv"],
        ["bench", "~nosuchuser/a"],
        ["bench-serve", "~nosuchuser/a"],
    ],
)
def test_a_home_that_is_nobodys(news: Path, arguments: list[str]) -> None:
    with pytest.raises(
        ConfigurationError, match=r"^~nosuchuser/.*: no home folder is known for '~nosuchuser'; write"
    ):
        main([str(news) if one == "NEWS" else one for one in arguments])


def test_known_models_are_those_of_no_study() -> None:
    with pytest.raises(ConfigurationError, match=r"^--results: .* say `ls systems`"):
        main(["ls", "models", "--results", "study"])


def test_known_models_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", "models", "--json"]) == 0
    rows = {row["model"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["dccuchile/albert-tiny-spanish"]["hidden"] == 312


def test_a_port_that_is_none_is_refused() -> None:
    with pytest.raises(LigeroError, match=r"cannot listen on 127\.0\.0\.1:80000: .*0-65535.*choose another"):
        _listen("127.0.0.1", 80000)


def test_no_address_is_not_every_address() -> None:
    with pytest.raises(LigeroError, match=r"^--host: it is empty; .*0\.0\.0\.0 for other machines"):
        _listen("", 0).close()


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", ""],
        ["check", "a.csv", "--validation", ""],
        ["train", "a.csv", "--test", " "],
        ["train", "a.csv", "--second-text", ""],
        ["check", "a.csv", "--model="],
        ["plan", "a.yaml", "--measured", ""],
        ["serve", "model", "--host", ""],
        ["predict", "model", ""],
    ],
)
def test_an_empty_argument_is_not_an_absent_one(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    said = capsys.readouterr().err
    assert ended.value.code == 2 and "it is empty; give a value, or leave it out" in said
    name = next((one.rstrip("=") for one in arguments if one.startswith("--")), "")
    assert f"argument {name}" in said


def test_a_folder_without_results_is_refused_in_words_for_every_command(tmp_path: Path) -> None:
    """`verify`, `status` and `pack` have no option --results."""
    for command in (["verify", str(tmp_path)], ["ls", "tasks", "--results", str(tmp_path)]):
        with pytest.raises(
            DataError, match=r"no results: .* Name the results of a study, or the folder that"
        ):
            main(command)


def test_export_asks_for_the_systems_that_are_named(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = load_study(read_yaml(project / "config" / "own-task.yaml"), project)
    write_resolved(tmp_path / "results/config.json", study)
    (tmp_path / "study.yaml").touch()
    for named, both in ((["--system", "beto"], False), ([], True)):
        assert main(["export", str(tmp_path), *named, "-n"]) == 0
        said = capsys.readouterr().err
        assert "results/exports/fine-tuning/beto/complaints" in said
        assert ("results/exports/distillation/albeto-tiny/complaints" in said) == both
    with pytest.raises(
        ConfigurationError, match="--system bert: the study has no such system; known: beto, "
    ):
        main(["export", str(tmp_path), "--system", "bert", "-n"])
