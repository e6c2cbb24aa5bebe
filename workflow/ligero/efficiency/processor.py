"""The processor that something was measured on, for the record beside the figures."""

from __future__ import annotations

import platform
from pathlib import Path

from ligero.serving.manifest import Processor

RELEVANT_FLAGS = (
    "avx2",
    "avx_vnni",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_int8",
    "amx_bf16",
    "asimddp",
    "i8mm",
    "sve",
)
"""Instruction sets that decide how fast small products are."""


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> Processor:
    """Name and relevant flags of the processor; on systems without /proc only what Python knows."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {"name": platform.processor() or platform.machine(), "flags": []}
    values = dict(
        reversed([(key.strip(), value.strip()) for key, _, value in (line.partition(":") for line in lines)])
    )
    flags = (values.get("flags") or values.get("Features") or "").split()
    return {
        "name": values.get("model name") or platform.machine(),
        "flags": [flag for flag in RELEVANT_FLAGS if flag in flags],
    }
