"""A pocket study, run once a session by the real command, and helpers to run Snakemake on it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders.workflow import POCKET, Snakemake


@pytest.fixture(scope="session")
def snakemake(project: Path, pocket_folder: Path) -> Snakemake:
    """Run Snakemake on the pocket study; keyword `config` takes KEY=VALUE overrides, `folder` another working folder."""

    def run(
        *arguments: str, config: tuple[str, ...] = (), folder: Path | None = None, configfile: Path = POCKET
    ) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-m",
            "snakemake",
            "--snakefile",
            str(project / "Snakefile"),
            "--configfile",
        ]
        command += [str(configfile), "--workflow-profile", str(project / "profiles" / "default")]
        command += ["--directory", str(folder or pocket_folder), "--cores", "2"]
        command += ["--config", *config] if config else []
        return subprocess.run([*command, *arguments], capture_output=True, text=True, cwd=project)

    return run


@pytest.fixture(scope="session")
def pocket_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Working folder of the pocket study."""
    return tmp_path_factory.mktemp("pocket")


@pytest.fixture(scope="session")
def pocket(snakemake: Snakemake, pocket_folder: Path) -> Path:
    """The results folder of the finished pocket study."""
    done = snakemake("--", "all", "results/snakemake-report.html")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-5000:]
    return pocket_folder / "results"
