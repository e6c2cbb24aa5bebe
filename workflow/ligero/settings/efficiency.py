"""Settings of the measurements of size and speed."""

from __future__ import annotations

from pydantic import Field

from ligero.settings.base import Identifier, Settings


class Efficiency(Settings):
    """Conditions under which size and multiply-accumulate operations are counted (thesis: batch 1, 512 tokens, 3 labels)."""

    sequence_length: int = Field(512, ge=1)
    """Length of the input in tokens; at most the positions of every model."""
    labels: int = Field(3, ge=1)
    """Classes of the head."""
    reference: Identifier
    """Id of the model whose speedup is 1."""


class Speed(Settings):
    """Protocol of the latency benchmark (thesis: batch 1, 512 tokens, 10 warm-up and 100 timed runs)."""

    sequence_length: int = Field(512, ge=1)
    """Length of the input in tokens; at most the positions of every model."""
    warmup_runs: int = Field(10, ge=0)
    """Runs before timing starts."""
    timed_runs: int = Field(100, ge=1)
    """Timed runs."""
    outlier_z: float = Field(3.5, gt=0.0)
    """Runs whose modified z-score (Iglewicz and Hoaglin 1993) exceeds this are discarded."""
