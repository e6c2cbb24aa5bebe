"""The pocket study and the command that runs it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

POCKET = Path(__file__).parents[1] / "workflow" / "pocket.yaml"
Snakemake = Callable[..., "subprocess.CompletedProcess[str]"]


def snakemake_command(project: Path, configfile: Path, folder: Path) -> list[str]:
    """Snakemake on a configuration in a working folder, for tests that start or kill the process themselves."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(project / "Snakefile")]
    command += ["--configfile", str(configfile), "--workflow-profile", str(project / "profiles" / "default")]
    return [*command, "--directory", str(folder), "--cores", "2"]


def planned_jobs(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """Number of jobs a rule that a dry run plans; empty where nothing is to be done."""
    assert done.returncode == 0, done.stderr[-3000:]
    text = done.stdout + done.stderr
    if "Nothing to be done" in text:
        return {}
    table = re.findall(r"^(\w+) +(\d+)$", text.split("Job stats:")[1].split("total")[0], flags=re.M)
    return {rule: int(count) for rule, count in table}
