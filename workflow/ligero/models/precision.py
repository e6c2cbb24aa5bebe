"""The precision of forward and backward passes: as asked for, or with `auto` the fastest that the device really computes in."""

from __future__ import annotations

import os
import sys
import time
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cache
from pathlib import Path
from typing import Any

import torch

from ligero.common.errors import LigeroError
from ligero.common.files import read_json, write_json
from ligero.common.hashing import digest_value
from ligero.common.records import read_record, write_record
from ligero.settings.base import Precision, ResolvedPrecision

_DTYPES: dict[ResolvedPrecision, torch.dtype | None] = {
    "fp32": None,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}
_TENSOR_CORES = (7, 0)
"""First compute capability of NVIDIA GPUs that multiplies in fp16 faster than in fp32."""
_ROWS, _WIDTH = 512, 512
_RUNS = 10


def autocast(precision: ResolvedPrecision, device: torch.device) -> AbstractContextManager[Any]:
    """The context in which forward passes run."""
    dtype = _DTYPES[precision]
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype=dtype)


def resolve(asked: Precision, device: torch.device, loss_scaling: bool = True) -> ResolvedPrecision:
    """The precision to compute in on a device.

    What is asked for by name is taken. That bf16 is slower than fp32 here is said on stderr, once a process.

    Args:
        loss_scaling: whether the caller scales its loss, without which fp16 loses small gradients; only then is it chosen.
    """
    if asked != "auto":
        if asked == "bf16":
            _warn_where_slower(device)
        return asked
    if device.type == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16"
        return (
            "fp16" if loss_scaling and torch.cuda.get_device_capability(device) >= _TENSOR_CORES else "fp32"
        )
    return "fp32" if bf16_is_slower(device) else "bf16"


def bf16_is_slower(device: torch.device) -> bool:
    """Whether matrix products take longer in bf16 than in fp32: by what the processor can do where that says no, else measured."""
    if device.type == "cuda":
        return not torch.cuda.is_bf16_supported(including_emulation=False)
    if _emulates_bf16():
        return True
    speeds = matrix_speeds(device)
    return speeds["bf16"] <= speeds["fp32"]


def resolve_once(
    asked: Precision, device: torch.device, note: Path, loss_scaling: bool = True
) -> ResolvedPrecision:
    """The precision of work that may be resumed, or shared, by processes on other devices: what the first of them resolved.

    Args:
        note: file in the work's state folder in which the first process notes it; written for `auto` only.
    """
    if asked != "auto":
        return resolve(asked, device, loss_scaling)
    if not note.is_file():
        own = note.with_name(f".{note.name}.{os.uname().nodename}.{os.getpid()}")
        write_record(own, {"precision": resolve(asked, device, loss_scaling)})
        with suppress(FileExistsError):  # another process was first
            os.link(own, note)
        own.unlink()
    found: ResolvedPrecision = read_record(note)["precision"]
    return found


@cache
def matrix_speeds(device: torch.device) -> dict[str, float]:
    """GFLOP/s (of a processor: of one core) of a matrix product in "fp32" and "bf16", as autocast computes it: from fp32, with rounding.

    A processor's speeds are kept in the user's cache folder (`$XDG_CACHE_HOME`, else `~/.cache`), so that all jobs of a machine
    decide alike; where they cannot be kept, each process measures.
    """
    path = _cache_file(device)
    if path is not None and (kept := _kept(path)) is not None:
        return kept
    speeds = _measure(device)
    if path is not None:
        with suppress(OSError):  # a read-only home folder: the next process measures again
            write_json(path, speeds)
    return speeds


def _measure(device: torch.device) -> dict[str, float]:
    """The fastest of runs that alternate. Of a processor one thread is measured, in its own processor time: several wait for the slowest
    of them, so that on a busy machine the figures would be those of the other load.
    """
    threads = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        return _measure_alternately(device)
    finally:
        torch.set_num_threads(threads)


def _measure_alternately(device: torch.device) -> dict[str, float]:
    clock = time.perf_counter if device.type == "cuda" else time.thread_time
    values = torch.randn(_ROWS, _WIDTH, device=device)
    weights = torch.randn(_WIDTH, _WIDTH, device=device)
    seconds: dict[ResolvedPrecision, list[float]] = {"fp32": [], "bf16": []}
    with torch.no_grad():
        for run in range(_RUNS + 1):
            for precision, taken in seconds.items():
                with autocast(precision, device):
                    start = clock()
                    values @ weights
                    if device.type == "cuda":
                        torch.cuda.synchronize(device)
                    if run:  # the first one prepares kernels
                        taken.append(clock() - start)
    work = 2e-9 * _ROWS * _WIDTH * _WIDTH
    return {precision: round(work / min(taken), 1) for precision, taken in seconds.items()}


def _emulates_bf16() -> bool:
    """Whether this is an x86 processor without bf16 instructions, where torch computes in fp32 between conversions."""
    known = torch.cpu.get_capabilities()
    if known.get("architecture") != "x86_64":
        return False
    return not (known.get("avx512_bf16") or known.get("amx_bf16"))


def _cache_file(device: torch.device) -> Path | None:
    """Where a processor's speeds are kept: by its name and abilities, since clouds give many processors one name."""
    if device.type != "cpu":
        return None
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # there is no home folder
        return None
    known = [dict(torch.cpu.get_capabilities()), torch.__version__]
    return folder / "ligero" / f"matrix-speeds-{digest_value(known)}.json"


def _kept(path: Path) -> dict[str, float] | None:
    """Speeds that another process measured; None where there are none or the file is damaged."""
    try:
        found = read_json(path)
        return {"fp32": float(found["fp32"]), "bf16": float(found["bf16"])}
    except (OSError, LigeroError, ValueError, KeyError, TypeError):
        return None


@cache
def _warn_where_slower(device: torch.device) -> None:
    if not bf16_is_slower(device):
        return
    speeds = matrix_speeds(device)
    unit = "one core" if device.type == "cpu" else "this GPU"
    print(
        f"warning: precision: bf16 is slower than fp32 here: {unit} multiplies matrices at {speeds['bf16']:g} GFLOP/s in "
        f"bf16 and {speeds['fp32']:g} in fp32; precision: auto takes the faster",
        file=sys.stderr,
    )
