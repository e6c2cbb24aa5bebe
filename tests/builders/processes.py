"""Pretraining in processes of their own: ended by a signal in a chosen place, or several that train together."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed.fsdp  # before the processes fork: it takes a second

from ligero.pretraining.distributed import DistributedContext
from ligero.pretraining.engine import Pretrainer
from ligero.pretraining.run import pretrain
from ligero.training import checkpoints
from tests.builders.pretraining import STEPS, Folders, prepared, train


def run_child(folders: Folders, place: Path, spoil: Callable[[], None], **values: Any) -> int | None:
    """Train in a forked process (torch is loaded there already) after `spoil` has set its trap; the exit code."""

    def body() -> None:
        torch.set_num_threads(1)
        spoil()
        try:
            os._exit(0 if train(folders, place, **{"total_steps": STEPS, **values}) else 75)
        except checkpoints.CheckpointError:
            os._exit(3)

    process = multiprocessing.get_context("fork").Process(target=body)
    process.start()
    process.join(60)
    return process.exitcode


def signal_at(forward_pass: int, number: int = signal.SIGKILL) -> Callable[[], None]:
    """A trap: in forward pass `forward_pass` (from 1 on) the process sends itself a signal."""

    def spoil() -> None:
        forward, passes = Pretrainer._forward, [0]

        def counted(self: Pretrainer, piece: Any) -> Any:
            passes[0] += 1
            if passes[0] == forward_pass:
                os.kill(os.getpid(), number)
            return forward(self, piece)

        Pretrainer._forward = counted  # type: ignore[method-assign]

    return spoil


SHARED: dict[str, Any] = {"batch_size": 12, "micro_batch_size": 2, "whole_word": True}


def process_environment(rank: int, world: int, port: int) -> dict[str, str]:
    """What torchrun tells a process on a machine of its own."""
    return {
        "RANK": str(rank),
        "WORLD_SIZE": str(world),
        "LOCAL_RANK": str(rank),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _process(
    rank: int, world: int, port: int, folders: Folders, place: Path, kind: str, values: dict[str, Any]
) -> None:
    torch.set_num_threads(1)
    os.environ |= process_environment(rank, world, port)
    run = prepared(folders, kind, **{**SHARED, **values})
    placement = DistributedContext.from_environment("cpu")
    completed = pretrain(run, folders[1], place / "out", place / "log", place / "state", placement)
    if world > 1:
        torch.distributed.destroy_process_group()
    os._exit(0 if completed else 75)


def together(
    folders: Folders, place: Path, world: int, kind: str = "albert", **values: Any
) -> list[int | None]:
    """Train in `world` processes; their exit codes."""
    port = free_port()
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=_process, args=(rank, world, port, folders, place, kind, values))
        for rank in range(world)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    return [process.exitcode for process in processes]
