"""What the C library does with memory that is given back."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # malloc.h


def keep_freed_memory() -> bool:
    """Let glibc keep freed blocks for the next request; whether it could (False with other C libraries).

    By default every large tensor or block of text is mapped afresh, and the kernel fills its pages with zeros one by one: a
    tenth of a training step on a CPU, and of cleaning. Call it once at the start of a program; it holds for the whole process.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, 2**31 - 1))
