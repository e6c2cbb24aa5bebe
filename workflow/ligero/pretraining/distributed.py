"""One process or many: which share of a batch is this process's, and how sums and gradients come together."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ligero.common.errors import ConfigurationError


@dataclass(frozen=True)
class DistributedContext:
    """Where this process computes. `torchrun` starts the processes and sets RANK, LOCAL_RANK and WORLD_SIZE; srun alone sets none."""

    device: torch.device
    rank: int = 0
    world: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    @classmethod
    def from_environment(cls, device: str = "auto") -> DistributedContext:
        """Join the process group that the environment describes, if any; `device` auto takes a GPU where each of this machine's
        processes can have one of its own."""
        world = int(os.environ.get("WORLD_SIZE", "1"))
        rank, local = int(os.environ.get("RANK", "0")), int(os.environ.get("LOCAL_RANK", "0"))
        here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        enough = torch.cuda.is_available() and torch.cuda.device_count() >= here
        use_gpu = device == "cuda" or (device == "auto" and enough)
        chosen = torch.device("cuda", local) if use_gpu else torch.device("cpu")
        if use_gpu:
            torch.cuda.set_device(chosen)
        if world > 1 and not torch.distributed.is_initialized():
            torch.distributed.init_process_group("nccl" if use_gpu else "gloo")
        return cls(chosen, rank, world)

    def share(self, batch_size: int, micro_batch_size: int) -> tuple[int, int]:
        """First row and number of rows of this process in every batch.

        Raises:
            ConfigurationError: the micro batches cannot be dealt out evenly.
        """
        if batch_size % (micro_batch_size * self.world):
            raise ConfigurationError(
                f"pretraining: batch_size {batch_size} is not a multiple of micro_batch_size {micro_batch_size} x "
                f"{self.world} processes; lower micro_batch_size or change the number of processes"
            )
        rows = batch_size // self.world
        return self.rank * rows, rows

    def wrapped(self, module: nn.Module, sharding: str = "none", precision: str = "fp32") -> nn.Module:
        """The module with gradients averaged over all processes; with sharding 'fsdp' its parameters become shards, which in
        precision 'bf16' are gathered as such.
        """
        if self.world == 1:
            return module
        if sharding == "fsdp":
            from ligero.pretraining.sharding import shard

            shard(module, self.device, self.world, half=precision == "bf16")
            return module
        from torch.nn.parallel import DistributedDataParallel

        ids = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(module, device_ids=ids, gradient_as_bucket_view=True)

    def synchronised(self, parallel: nn.Module, now: bool) -> AbstractContextManager[Any]:
        """Around a forward and backward pass: whether gradients come together now, or after a later micro batch."""
        if self.world == 1:
            return nullcontext()
        if hasattr(parallel, "set_requires_gradient_sync"):  # sharded
            parallel.set_requires_gradient_sync(now)  # type: ignore[operator]
            return nullcontext()
        return nullcontext() if now else parallel.no_sync()  # type: ignore[operator]

    def summed(self, values: Tensor) -> Tensor:
        """The sum over all processes."""
        if self.world > 1:
            torch.distributed.all_reduce(values)
        return values

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        if self.world == 1:
            return flag
        return bool(self.summed(torch.tensor(float(flag), device=self.device)).item() > 0)

    def from_first(self, number: int) -> int:
        """The first process's number, in every process."""
        return (
            number
            if self.world == 1
            else int(self.summed(torch.tensor(number * self.is_first, device=self.device)).item())
        )

    def barrier(self) -> None:
        if self.world > 1:
            torch.distributed.barrier()
