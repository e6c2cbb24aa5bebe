"""What jobs ask of the machine or cluster, and how pretraining in several processes is started."""

from __future__ import annotations

from pydantic import Field

from ligero.settings.base import Settings


class Hardware(Settings):
    """What one job of a stage asks of the machine or cluster; memory and time grow with each retry."""

    threads: int = Field(1, ge=1)
    gpus: int = Field(0, ge=0)
    memory_mb: int = Field(2_000, ge=100)
    runtime_minutes: int = Field(60, ge=1)


class PretrainingHardware(Hardware):
    """The same for pretraining, which may run in several processes, on several nodes. Threads, GPUs and memory are a node's."""

    nodes: int = Field(1, ge=1)
    """Nodes that train one model together; more than one needs Slurm."""
    processes: int | None = Field(None, ge=1)
    """Processes a node; null is one a GPU, and one where there are no GPUs."""

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
        run = f"python -m torch.distributed.run --nproc-per-node {self.processes_a_node}"
        if self.world == 1:
            return "python"
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

    data: Hardware = Hardware()
    """Corpus and tokenizers."""
    pretraining: PretrainingHardware = PretrainingHardware()
    training: Hardware = Hardware()
    """Fine-tuning, logits, distillation and scoring."""
    light: Hardware = Hardware(memory_mb=1_000, runtime_minutes=30)
    """Everything else."""
