"""What the workflow plans for pretraining in several processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Snakemake

pytestmark = pytest.mark.workflow


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
        "srun --overlap --nodes 2 --ntasks 2" in said and "torch.distributed.run --nproc-per-node 4" in said
    )
    assert "pretrain.py --config" in said
