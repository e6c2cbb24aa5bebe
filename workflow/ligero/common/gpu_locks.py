"""Which GPUs of this machine a job takes: locks give each of several jobs a device, or a share of one, of its own."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ligero.common.errors import LigeroError

SHARES = 60
"""A device is locked in this many parts: halves, thirds, quarters, fifths and sixths come out even."""
_SECONDS_BETWEEN_LOOKS = 1.0


@dataclass(frozen=True)
class Taken:
    """Devices that this process holds until it ends, however it ends.

    Attributes:
        devices: as CUDA_VISIBLE_DEVICES names them; empty: none, and training is on the CPU.
        files: open files of their locks. The locks are the process's own and outlive `exec` where the files stay open.
    """

    devices: tuple[str, ...]
    files: tuple[int, ...] = ()


def visible_devices(
    environment: Mapping[str, str] = os.environ, devices: Path = Path("/dev")
) -> list[str] | None:
    """The devices that a job may take: those of CUDA_VISIBLE_DEVICES, else all of the machine; None where nobody knows.

    Inside a Slurm job only CUDA_VISIBLE_DEVICES counts: a job that got no GPU may see devices that belong to others.
    """
    if (given := environment.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name.strip() for name in given.split(",") if name.strip() not in ("", "-1")]
    if "SLURM_JOB_ID" in environment:
        return []
    return [str(number) for number, _ in enumerate(devices.glob("nvidia[0-9]*"))] or None


def lock_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where this user's locks are on this machine. Each Slurm job has its own: in different jobs, device 0 may be another device."""
    job = environment.get("SLURM_JOB_ID")
    return Path("/tmp", f"ligero-gpus-{os.getuid()}", job or "machine")


def take(wanted: float | None, devices: list[str], folder: Path, processes: int = 1) -> Taken:
    """Wait until as many devices as wanted, or a share of one, are free, and hold them.

    Args:
        wanted: a whole number of devices, or less than one; None: one for each process where there are so many, else none.
        devices: what may be taken; the least used of them is.
        folder: of the locks, on a file system of this machine.
        processes: that the job consists of.

    Raises:
        LigeroError: there are fewer devices than wanted.
    """
    if wanted is None:
        wanted = float(processes) if len(devices) >= processes else 0.0
    if wanted > len(devices):
        raise LigeroError(
            f"{wanted:g} GPUs are wanted (gpus in the configuration's section hardware), but CUDA_VISIBLE_DEVICES lists "
            f"{len(devices)}: {', '.join(devices) or 'none'}. Lower gpus (0 trains on the CPU), or make more devices visible."
        )
    if wanted == 0:
        return Taken(())
    count, shares = max(1, int(wanted)), SHARES if wanted >= 1 else -int(-wanted * SHARES // 1)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    files = {
        name: os.open(folder / f"{name.replace('/', '_')}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        for name in devices
    }
    said = False
    while True:
        with _choosing(folder):
            free = {name: _locked(file) for name, file in files.items()}
            enough = sorted(
                (name for name in devices if len(free[name]) >= shares), key=lambda name: -len(free[name])
            )
            chosen = enough[:count] if len(enough) >= count else []
            for name, parts in free.items():
                for part in parts[shares if name in chosen else 0 :]:
                    fcntl.lockf(files[name], fcntl.LOCK_UN, 1, part)
        if chosen:
            return Taken(tuple(chosen), tuple(files[name] for name in chosen))
        if not said:
            print(
                f"waiting for {wanted:g} of the GPUs {', '.join(devices)}: other jobs have them",
                file=sys.stderr,
                flush=True,
            )
            said = True
        time.sleep(_SECONDS_BETWEEN_LOOKS)


@contextlib.contextmanager
def _choosing(folder: Path) -> Iterator[None]:
    """One process at a time looks for free devices."""
    with (folder / "choosing.lock").open("a") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield


def _locked(file: int) -> list[int]:
    """The parts of a device that were free, now locked."""
    parts = []
    for part in range(SHARES):
        with contextlib.suppress(OSError):
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, part)
            parts.append(part)
    return parts
