"""What the cluster profile asks Slurm for; needs no Slurm."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml


@pytest.mark.parametrize("threads", [1, 4, 16])
@pytest.mark.parametrize("gpu", [False, True])
def test_a_job_gets_as_many_processors_as_its_rule_has_threads(
    project: Path, threads: int, gpu: bool
) -> None:
    """The plugin prefers a default `cpus_per_task` to `threads`: the profile must set none."""
    from snakemake_executor_plugin_slurm_jobstep import get_cpu_setting

    profile = yaml.safe_load((project / "profiles/slurm/config.yaml").read_text(encoding="utf-8"))
    resources = dict(entry.split("=", 1) for entry in profile["default-resources"])
    assert not {name for name in resources if name.startswith(("cpus", "threads"))}
    values = {name: int(value) for name, value in resources.items()}
    job = SimpleNamespace(threads=threads, resources=values)
    assert get_cpu_setting(job, gpu) == f"--cpus-per-task={threads}"
