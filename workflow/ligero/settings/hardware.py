"""What jobs ask of the machine or cluster, and how pretraining in several processes is started."""

from __future__ import annotations

from math import ceil

from pydantic import Field, field_validator, model_validator

from ligero.settings.base import Settings

_SHUTDOWN_SECONDS = 600
"""Between SIGTERM and SIGKILL."""


class Limits(Settings):
    """What a job requests from the machine or cluster; except for pretraining, both grow with each retry."""

    memory_mb: int = Field(2_000, ge=100)
    """Memory of a job's first attempt, in MB (pretraining: of every attempt, per node)."""
    runtime_minutes: int = Field(60, ge=1)
    """Time limit of a job's first attempt, in minutes (pretraining: of every attempt)."""


class DataHardware(Limits):
    """What a job with several threads requests; memory and time grow with each retry."""

    threads: int = Field(1, ge=1)
    """CPU threads of a job (pretraining: per node)."""


class Hardware(DataHardware):
    """What a job that may use GPUs requests; memory and time grow with each retry."""

    gpus: float | None = Field(None, ge=0)
    """GPUs of a job. null: one where the machine has one, and a scheduler is asked for none. 0: trains on the CPU. Less than one,
    such as 0.5: jobs on one machine share a GPU, and a scheduler is asked for a whole one."""

    @field_validator("gpus")
    @classmethod
    def _whole_or_a_share(cls, gpus: float | None) -> float | None:
        if gpus is not None and gpus > 1 and gpus != int(gpus):
            raise ValueError(
                f"{gpus:g} is neither a whole number of GPUs nor a share of one; write {int(gpus)} or {int(gpus) + 1}"
            )
        return gpus

    @property
    def devices(self) -> int:
        """GPUs that a scheduler is asked for."""
        return ceil(self.gpus or 0)

    @property
    def launcher(self) -> str:
        """The command before a program: it waits for GPUs that no other job of the machine has."""
        return _on_gpus(self.gpus, "python")

    @property
    def launcher_alone(self) -> str:
        """The same for measurements, which never share a GPU."""
        return _on_gpus(self.gpus and float(self.devices), "python")


def _on_gpus(gpus: float | None, command: str, processes: int = 1) -> str:
    whichever = "any" if processes == 1 else f"any:{processes}"
    return f"python $PROGRAMS/take_gpus.py {whichever if gpus is None else f'{gpus:g}'} {command}"


class PretrainingHardware(Hardware):
    """What pretraining requests. It may run in several processes on several nodes; threads, GPUs and memory are per node.

    Memory and time are the same for every attempt: one that is ended by its time limit has not failed, and the next one resumes.
    """

    nodes: int = Field(1, ge=1)
    """Nodes that train one model together; more than one needs Slurm."""
    processes: int | None = Field(None, ge=1)
    """Processes per node; null means one per GPU, or one where `gpus` gives none. Where `gpus` is null too: on GPUs if the machine
    has one for each, else on the CPU."""

    @model_validator(mode="after")
    def _one_gpu_each(self) -> PretrainingHardware:
        if self.devices and self.processes and self.processes > self.devices:
            raise ValueError(
                f"processes {self.processes} on {self.devices} GPUs per node: each process needs its own GPU; raise gpus or "
                "remove processes"
            )
        return self

    @property
    def processes_per_node(self) -> int:
        return self.processes or max(1, self.devices)

    @property
    def world(self) -> int:
        """Processes of one training run."""
        return self.nodes * self.processes_per_node

    @property
    def launcher(self) -> str:
        """The command before the program: it starts the processes, which find each other through torchrun."""
        if self.world == 1:
            return _on_gpus(self.gpus, "python")
        # Processes stop together at the end of a step and write a checkpoint: that may take longer than torchrun's 30 seconds.
        run = f"python -m torch.distributed.run --shutdown-timeout {_SHUTDOWN_SECONDS} --nproc-per-node {self.processes_per_node}"
        if self.nodes == 1:
            return _on_gpus(self.gpus, f"{run} --standalone", self.processes_per_node)
        gpus = f" --gpus-per-node {self.devices}" if self.devices else ""
        return (
            f"srun --overlap --nodes {self.nodes} --ntasks {self.nodes} --ntasks-per-node 1 --cpus-per-task {self.threads}{gpus}"
            f" {run} --nnodes {self.nodes} --rdzv-backend c10d --rdzv-id $SLURM_JOB_ID"
            " --rdzv-endpoint $(hostname):$((20000 + SLURM_JOB_ID % 40000))"
        )

    @property
    def slurm(self) -> dict[str, int | str]:
        """Resources for which Slurm allocates several nodes: one task per node, and the GPUs of each."""
        if self.nodes == 1:
            return {"gpu": self.devices}
        gpus = {"slurm_extra": f"--gpus-per-node={self.devices}"} if self.devices else {}
        return {"nodes": self.nodes, "tasks": self.nodes, "mpi": "srun", **gpus}


class HardwareOfStages(Settings):
    """Resources by kind of work. They do not affect results, so changing them re-runs nothing."""

    data: DataHardware = DataHardware()
    """Corpus and tokenizers."""
    pretraining: PretrainingHardware = PretrainingHardware()
    """Pretraining of models."""
    training: Hardware = Hardware()
    """Fine-tuning, logits, distillation and scoring."""
    light: Limits = Limits(memory_mb=1_000, runtime_minutes=30)
    """Everything else, on one thread."""
