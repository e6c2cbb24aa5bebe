"""How pretraining in several processes and on several nodes is started and asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ligero.common.errors import LigeroError
from ligero.settings import jobs
from ligero.settings.hardware import PretrainingHardware
from ligero.settings.load import load_study
from ligero.settings.pretraining import Divergence
from ligero.settings.study import Study
from ligero.settings.yaml_files import read_yaml

ROOT = Path(__file__).resolve().parents[2]


def thesis(**pretraining: Any) -> Study:
    values = read_yaml(ROOT / "config" / "thesis.yaml")
    values["hardware"] = {"pretraining": pretraining}
    return load_study(values, ROOT)


@pytest.mark.parametrize("values", [{}, {"gpus": 1}, {"threads": 8}])
def test_one_process_is_started_plainly(values: dict[str, int]) -> None:
    hardware = PretrainingHardware(**values)
    assert hardware.launcher.endswith(" python") and hardware.world == 1
    assert hardware.slurm == {"gpu": values.get("gpus", 0)}


def test_one_process_a_gpu() -> None:
    hardware = PretrainingHardware(gpus=4)
    run = "python $PROGRAMS/take_gpus.py 4 python -m torch.distributed.run --shutdown-timeout 600"
    assert hardware.launcher == f"{run} --nproc-per-node 4 --standalone"
    assert hardware.world == 4 and hardware.slurm == {"gpu": 4}
    assert PretrainingHardware(processes=2).launcher == (
        f"{run.replace(' 4 ', ' any:2 ')} --nproc-per-node 2 --standalone"
    )


def test_one_torchrun_a_node() -> None:
    hardware = PretrainingHardware(nodes=2, gpus=8, threads=64)
    command = hardware.launcher
    assert command.startswith("srun --overlap --nodes 2 --ntasks 2 --ntasks-per-node 1 --cpus-per-task 64")
    assert (
        "--gpus-per-node 8 python -m torch.distributed.run --shutdown-timeout 600 --nproc-per-node 8"
        in command
    )
    assert "--nproc-per-node 8 --nnodes 2" in command
    assert "--rdzv-endpoint $(hostname):" in command and "--standalone" not in command
    assert hardware.world == 16
    # Slurm's plugin would turn `gpu` with several tasks into --ntasks-per-gpu, so the GPUs go by another way.
    assert hardware.slurm == {"nodes": 2, "tasks": 2, "mpi": "srun", "slurm_extra": "--gpus-per-node=8"}


def test_two_processes_do_not_share_a_gpu() -> None:
    with pytest.raises(
        LigeroError, match=r"hardware\.pretraining: processes 8 on 4 GPUs per node.*remove processes"
    ):
        thesis(gpus=4, processes=8)
    assert PretrainingHardware(gpus=4, processes=2).processes_per_node == 2


def test_hardware_changes_no_job() -> None:
    one, many = thesis(gpus=1), thesis(nodes=2, gpus=4)
    for model in ("albeto-tiny", "albeto-xxlarge"):
        assert jobs.digest(jobs.pretraining_job(one, model)) == jobs.digest(jobs.pretraining_job(many, model))


def test_batches_that_cannot_be_dealt_out_are_refused_before_anything_starts() -> None:
    with pytest.raises(LigeroError, match=r"albeto-xlarge\.pretraining\.micro_batch_size: 16 x 16 processes"):
        thesis(nodes=2, gpus=8)


@pytest.mark.parametrize(
    "changed",
    [
        {"log_every": 7, "validate_every": 7, "tensorboard": True},
        {"checkpoint_every": 7, "keep_checkpoints": 7},
        {"divergence": Divergence(spike_factor=9.0)},
        {"micro_batch_size": 1, "sharding": "fsdp", "fused_kernels": False},
    ],
)
def test_how_visibly_or_how_fast_a_model_is_pretrained_repeats_nothing(changed: dict[str, Any]) -> None:
    one, other = thesis(), _with_recipe(changed)
    for model in ("albeto-tiny", "albeto-large"):
        jobs_of = [jobs.pretraining_job(study, model) for study in (one, other)]
        assert jobs.digest(jobs_of[0]) == jobs.digest(jobs_of[1])
        for name, value in changed.items():
            assert getattr(jobs_of[1].recipe, name) == value, "the program still gets it"
    shards = [jobs.digest(jobs.shard_job(study, "fine-tuning", "albeto-tiny", 0)) for study in (one, other)]
    students = [
        jobs.digest(jobs.shard_job(study, "distillation", "albeto-base-2", 0)) for study in (one, other)
    ]
    assert len(set(shards)) == len(set(students)) == 1


def test_the_models_that_diverged_can_go_back_and_are_watched_closely() -> None:
    for model in ("albeto-large", "albeto-xlarge"):
        recipe = jobs.pretraining_job(thesis(), model).recipe
        assert recipe.divergence.on_divergence == "rollback"
        assert recipe.keep_checkpoints > recipe.divergence.maximum_rollbacks
        assert recipe.divergence.spike_factor == 1.5


def test_what_changes_weights_repeats_pretraining() -> None:
    for changed in ({"seed": 7}, {"bias_correction": True}, {"batch_size": 4096}):
        digests = {
            jobs.digest(jobs.pretraining_job(study, "albeto-tiny"))
            for study in (thesis(), _with_recipe(changed))
        }
        assert len(digests) == 2, changed


def _with_recipe(changed: dict[str, Any]) -> Study:
    study = thesis()
    models = {
        name: model.model_copy(update={"pretraining": model.pretraining.model_copy(update=changed)})
        if model.pretraining
        else model
        for name, model in study.models.items()
    }
    return study.model_copy(update={"models": models})
