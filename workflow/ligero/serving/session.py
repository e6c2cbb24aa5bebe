"""An onnxruntime session that uses the processors it may use, and no more memory than it needs."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ligero.common.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    import onnxruntime

MOST_THREADS = 1024
_CGROUP = Path("/sys/fs/cgroup")


def available_cores(cgroup: Path = _CGROUP) -> int:
    """Cores that this process may use: its affinity, and the quota of its container (cgroup v2 or v1), rounded up."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(cgroup)
    return max(1, min(cores, math.ceil(quota)) if quota else cores)


def _quota(cgroup: Path) -> float | None:
    """Cores that the container is granted; None where there is no limit."""
    try:
        limit, period = (cgroup / "cpu.max").read_text().split()
        return None if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError):
        pass
    try:
        limit_v1 = int((cgroup / "cpu" / "cpu.cfs_quota_us").read_text())
        period_v1 = int((cgroup / "cpu" / "cpu.cfs_period_us").read_text())
        return limit_v1 / period_v1 if limit_v1 > 0 else None
    except (OSError, ValueError):
        return None


def check_threads(threads: int) -> None:
    """Refuse threads of a forward pass that no machine has use for: so many take minutes to start, or cannot be counted.

    Raises:
        ConfigurationError: fewer than 1, or more than MOST_THREADS.
    """
    if not 1 <= threads <= MOST_THREADS:
        raise ConfigurationError(f"--threads {threads}: expected a number from 1 to {MOST_THREADS}")


def open_session(model: Path | bytes, threads: int) -> onnxruntime.InferenceSession:
    """A session on the CPU.

    Memory is given back after each run (no arena, which only grows), idle threads sleep instead of spinning, and one fusion is
    left out: the fused addition and normalisation is slower than the two operators.

    Raises:
        DataError: not a graph that this onnxruntime can run.
    """
    # Only here: `ligero bench` charges an engine for what it imports, and onnxruntime is not the only one.
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import RuntimeException

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    source = model if isinstance(model, bytes) else str(model)
    try:
        return onnxruntime.InferenceSession(
            source, options, providers=["CPUExecutionProvider"], disabled_optimizers=["SkipLayerNormFusion"]
        )
    except (RuntimeException, RuntimeError) as error:
        place = "graph" if isinstance(model, bytes) else model
        raise DataError(place, None, f"onnxruntime cannot run it: {error}") from error
    except Exception as error:  # onnxruntime's other errors share no base class
        if not type(error).__module__.startswith("onnxruntime"):
            raise
        place = "graph" if isinstance(model, bytes) else model
        raise DataError(place, None, f"onnxruntime cannot open it: {error}") from error
