"""What programs that compute with torch do with freed memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.imports import PROJECT, programs

# Latency is measured as a program of the user's would see it; exports and static embeddings free next to nothing.
WITHOUT = {"measure_speed.py", "export_model.py", "fill_mask.py", "score_static_embeddings.py"}

# Page faults of twenty tensors of 32 MB, one after another, when as many have been freed before: the heap grows first.
FAULTS = """
import resource, sys
sys.path.insert(0, {library!r})
import torch
{prepare}
for _ in range(20):
    torch.ones(8 << 20).sum()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    torch.ones(8 << 20).sum()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(prepare: str) -> int:
    script = FAULTS.format(library=str(PROJECT / "workflow"), prepare=prepare)
    return int(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    )


def test_freed_memory_is_used_again() -> None:
    import ctypes

    if not sys.platform.startswith("linux") or not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"):
        pytest.skip("only glibc can be told to keep freed memory")
    import torch  # noqa: F401  where it is missing, the test is skipped before the programs that need it

    kept = faults("from ligero.models.processor import use_processor; use_processor(1)")
    # Without it each of the twenty is mapped afresh; with it none, but for what small blocks among them cost.
    assert kept * 3 < faults("torch.set_num_threads(1)")


def test_programs_that_train_keep_freed_memory() -> None:
    own = {path.name for path in programs() if "torch.set_num_threads" in path.read_text(encoding="utf-8")}
    assert own == WITHOUT, "call use_processor(threads) instead, or say above why not"
