"""What the workflow plans for pretraining in several processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.builders.workflow import Snakemake

pytestmark = pytest.mark.slow


def test_several_nodes_are_planned_with_one_torchrun_each(
    snakemake: Snakemake, project: Path, tmp_path: Path
) -> None:
    done = snakemake(
        "-n", "-p", "--", "results/thesis/pretrained/albeto-tiny/config.json",
        configfile=project / "config/thesis.yaml", folder=tmp_path,
        config=("hardware={pretraining: {nodes: 2, gpus: 4, threads: 32}}",),
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-2000:]
    assert (
        "srun --overlap --nodes 2 --ntasks 2" in said and "--shutdown-timeout 600 --nproc-per-node 4" in said
    )
    assert "pretrain.py --config" in said


def test_pretraining_has_more_attempts_than_other_jobs(project: Path, tmp_path: Path) -> None:
    """Of the profile only what counts attempts, on rules that fail until their last one."""
    profile = yaml.safe_load((project / "profiles/slurm/config.yaml").read_text(encoding="utf-8"))
    counting = {name: profile[name] for name in ("retries", "preemptible-rules", "preemptible-retries")}
    assert counting["preemptible-retries"] >= 30, "of two days each"
    counting |= {"preemptible-retries": 4, "retries": 1, "keep-going": True}
    (tmp_path / "profile").mkdir()
    (tmp_path / "profile" / "config.yaml").write_text(yaml.safe_dump(counting), encoding="utf-8")
    rules = "".join(
        f'rule {name}:\n    shell: "echo x >> {name}.tries; exit 1"\n\n'
        for name in ("pretrain_model", "other")
    )
    (tmp_path / "Snakefile").write_text(rules, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--profile",
        "profile",
        "--cores",
        "1",
        "pretrain_model",
        "other",
    ]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert (tmp_path / "pretrain_model.tries").read_text() == "x\n" * 5
    assert (tmp_path / "other.tries").read_text() == "x\n" * 2
