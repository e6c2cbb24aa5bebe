"""How a program that computes with torch uses the processor and its memory."""

from __future__ import annotations

import torch

from ligero.common.allocator import keep_freed_memory


def use_processor(threads: int) -> None:
    """Compute with so many threads, and keep freed memory for the next step. Call it once, before the first tensor.

    Not where latency is measured: it is faster than the same model in a program that does not do so.
    """
    torch.set_num_threads(threads)
    keep_freed_memory()
