"""What jobs ask of the machine or cluster, and how pretraining in several processes is started."""

from __future__ import annotations

from pydantic import Field, model_validator

from ligero.settings.base import Settings

_SHUTDOWN_SECONDS = 600
"""Between SIGTERM and SIGKILL."""


class Limits(Settings):
    """What a job asks of the machine or cluster; both grow with each retry, but for pretraining's."""

    memory_mb: int = Field(2_000, ge=100)
    runtime_minutes: int = Field(60, ge=1)


class DataHardware(Limits):
    """What a job that computes asks for; memory and time grow with each retry."""

    threads: int = Field(1, ge=1)


class Hardware(DataHardware):
    """What a job that may use GPUs asks for; memory and time grow with each retry."""

    gpus: int = Field(0, ge=0)


class PretrainingHardware(Hardware):
    """What pretraining asks for. It may run in several processes, on several nodes. Threads, GPUs and memory are a node's.

    Memory and time are those of every attempt: an attempt that a time limit ends has not failed, the next one goes on.
    """

    nodes: int = Field(1, ge=1)
    """Nodes that train one model together; more than one needs Slurm."""
    processes: int | None = Field(None, ge=1)
    """Processes a node; null is one a GPU, and one where there are no GPUs."""

    @model_validator(mode="after")
    def _one_gpu_each(self) -> PretrainingHardware:
        if self.gpus and self.processes and self.processes > self.gpus:
            raise ValueError(
                f"processes {self.processes} on {self.gpus} GPUs a node: each process needs a GPU of its own; raise gpus or "
                "leave processes out"
            )
        return self

    @property
    def processes_a_node(self) -> int:
        return self.processes or max(1, self.gpus)

    @property
    def world(self) -> int:
        """Processes of one training run."""
        return self.nodes * self.processes_a_node

    @property
    def launcher(self) -> str:
        """The command before the program: it starts the processes, which find each other through torchrun."""
        if self.world == 1:
            return "python"
        # Processes stop together at the end of a step and write a checkpoint: that may take longer than torchrun's 30 seconds.
        run = f"python -m torch.distributed.run --shutdown-timeout {_SHUTDOWN_SECONDS} --nproc-per-node {self.processes_a_node}"
        if self.nodes == 1:
            return f"{run} --standalone"
        gpus = f" --gpus-per-node {self.gpus}" if self.gpus else ""
        return (
            f"srun --overlap --nodes {self.nodes} --ntasks {self.nodes} --ntasks-per-node 1 --cpus-per-task {self.threads}{gpus}"
            f" {run} --nnodes {self.nodes} --rdzv-backend c10d --rdzv-id $SLURM_JOB_ID"
            " --rdzv-endpoint $(hostname):$((20000 + SLURM_JOB_ID % 40000))"
        )

    @property
    def slurm(self) -> dict[str, int | str]:
        """Resources that make Slurm allot several nodes: one task a node, and the GPUs of each."""
        if self.nodes == 1:
            return {"gpu": self.gpus}
        gpus = {"slurm_extra": f"--gpus-per-node={self.gpus}"} if self.gpus else {}
        return {"nodes": self.nodes, "tasks": self.nodes, "mpi": "srun", **gpus}


class HardwareOfStages(Settings):
    """Resources by kind of work. They change no result, so changing them re-runs nothing."""

    data: DataHardware = DataHardware()
    """Corpus and tokenizers."""
    pretraining: PretrainingHardware = PretrainingHardware()
    training: Hardware = Hardware()
    """Fine-tuning, logits, distillation and scoring."""
    light: Limits = Limits(memory_mb=1_000, runtime_minutes=30)
    """Everything else, on one thread."""
