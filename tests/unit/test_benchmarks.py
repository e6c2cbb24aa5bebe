"""What benchmarks compare is equal work, their rows say what was measured where, and they refuse arguments that they cannot measure with."""

from __future__ import annotations

import csv
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from _measurements import WHERE, output_of, write_measurements
from ligero.common.errors import ConfigurationError, LigeroError

LINE = "En un lugar de la Mancha, de cuyo nombre no quiero acordarme.\n"
PROGRAMS = sorted(path.stem for path in Path(__file__).parents[2].glob("benchmarks/bench_*.py"))


def run(program: str, *arguments: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program's `main`, in this process."""
    monkeypatch.setattr(sys, "argv", [program, *map(str, arguments)])
    importlib.import_module(program).main()


def test_wrong_weights_are_refused_before_the_study_on_generated_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 1, "num_hidden_layers": 1}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", **small}))
    monkeypatch.setattr("bench_early_exit.generated", lambda folder: pytest.fail("the long part has begun"))
    with pytest.raises(ConfigurationError, match="expected an ALBERT, found bert"):
        run("bench_early_exit", "--out", tmp_path / "x.csv", "--weights", tmp_path, monkeypatch=monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_run_from_a_plain_checkout(program: str, project: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, str(project / "benchmarks" / f"{program}.py"), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "--out" in done.stdout


def test_tables_say_where_they_were_measured(tmp_path: Path) -> None:
    write_measurements(tmp_path / "x.csv", ("measure", "ours"), [("a", 1), ("b", 2)], threads=2, device="Z")
    with (tmp_path / "x.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [(row["measure"], row["device"], row["threads"]) for row in rows] == [
        ("a", "Z", "2"),
        ("b", "Z", "2"),
    ]
    assert list(rows[0]) == ["measure", "ours", *WHERE]
    assert rows[0]["torch"].split("+")[0] == torch.__version__.split("+")[0]


def test_a_program_that_fails_says_why() -> None:
    with pytest.raises(LigeroError, match="exit status 3:\nno memory left"):
        output_of([sys.executable, "-c", "import sys; sys.stderr.write('no memory left'); sys.exit(3)"])
