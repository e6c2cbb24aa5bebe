"""What the cluster profile asks Slurm for; needs no Slurm."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from ligero.settings.hardware import PretrainingHardware


@pytest.fixture(scope="module")
def profile(project: Path) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(
        (project / "profiles/slurm/config.yaml").read_text(encoding="utf-8")
    )
    return values


@pytest.mark.parametrize("threads", [1, 4, 16])
@pytest.mark.parametrize("gpu", [False, True])
def test_a_job_gets_as_many_processors_as_its_rule_has_threads(
    profile: dict[str, Any], threads: int, gpu: bool
) -> None:
    """The plugin prefers a default `cpus_per_task` to `threads`: the profile must set none."""
    from snakemake_executor_plugin_slurm_jobstep import get_cpu_setting

    resources = profile["default-resources"]
    assert not {name for name in resources if name.startswith(("cpus", "threads"))}
    job = SimpleNamespace(threads=threads, resources=resources)
    assert get_cpu_setting(job, gpu) == f"--cpus-per-task={threads}"


def test_every_job_that_is_ready_is_submitted(project: Path, profile: dict[str, Any]) -> None:
    """The plugin loses jobs of an array rule that a limit on jobs, or on jobs per timespan, leaves out of a round."""
    default = yaml.safe_load((project / "profiles/default/config.yaml").read_text(encoding="utf-8"))
    assert profile["jobs"] >= 100_000
    assert int(default["max-jobs-per-timespan"].split("/")[0]) >= 100_000


def test_arrays_are_of_rules_that_exist_and_need_no_limited_resource(
    project: Path, profile: dict[str, Any]
) -> None:
    rules = "".join(path.read_text(encoding="utf-8") for path in project.glob("rules/*.smk"))
    for name in profile["slurm-array-jobs"].split(","):
        _, _, body = rules.partition(f"\nrule {name}:\n")
        body = body.split("\nrule ")[0]
        assert body and "localrule" not in body and "downloads" not in body, name


def test_the_example_of_partitions_is_read_by_the_plugin(project: Path) -> None:
    from snakemake_executor_plugin_slurm.partitions import read_partition_file

    partitions = {
        entry.name: entry.limits for entry in read_partition_file(project / "profiles/slurm/partitions.yaml")
    }
    assert (partitions["cpu"].max_gpu, partitions["gpu"].max_gpu) == (0, 4)
    assert partitions["gpu"].max_runtime == 2 * 24 * 60


def test_the_partition_of_several_nodes_with_gpus_has_to_be_named(project: Path) -> None:
    """The plugin does not see their GPUs. If that changes, the line in the profile and in docs/slurm.md can go."""
    from snakemake_executor_plugin_slurm.partitions import get_best_partition, read_partition_file

    hardware = PretrainingHardware(nodes=2, gpus=4, threads=32, memory_mb=128_000, runtime_minutes=2880)
    limits = {"mem_mb": hardware.memory_mb, "runtime": hardware.runtime_minutes}
    job = SimpleNamespace(name="pretrain_model", threads=32, resources={**hardware.slurm, **limits})
    partitions = read_partition_file(project / "profiles/slurm/partitions.yaml")
    assert get_best_partition(partitions, job, logging.getLogger()) == "cpu"
    for name in ("docs/slurm.md", "profiles/slurm/config.yaml"):
        said = (project / name).read_text(encoding="utf-8")
        assert "set-resources: {pretrain_model: {slurm_partition: gpu}}" in said
