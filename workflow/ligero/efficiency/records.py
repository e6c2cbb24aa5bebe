"""What measuring leaves on disk, one type per record with its reader and its writer. Needs no torch."""

from __future__ import annotations

from typing import Literal, TypedDict

from ligero.common.records import record_file
from ligero.settings.study import Regime

Device = Literal["cpu", "gpu"]
DEVICES: tuple[Device, ...] = ("cpu", "gpu")
"""By the names used in the tables."""


class Cost(TypedDict):
    """Of an architecture, from its shapes alone."""

    parameters: int
    bytes: int
    """Of its weights in safetensors."""
    macs: int
    """Multiply-accumulate operations of one input, as thop counts them."""
    attention_macs: int
    """Of the products of attention, which thop leaves out."""
    vocabulary_size: int


class SystemCost(Cost):
    """The cost of a system, beside the reference's."""

    regime: Regime
    model: str
    name: str
    speedup: float
    """How many times fewer MACs than the reference."""
    thesis_speedup: str | None
    """By the thesis' arithmetic; None where that has no digits left."""


class CountingConditions(TypedDict):
    """Under which MACs were counted."""

    counter: str
    batch_size: int
    sequence_length: int
    labels: int
    reference: str


class EfficiencyRecord(TypedDict):
    """`R/benchmarks/efficiency.json`."""

    conditions: CountingConditions
    rows: list[SystemCost]


class Latency(TypedDict):
    """Seconds of one forward pass over the runs that were kept."""

    inferences_per_second: float
    """By the median."""
    median_seconds: float
    mean_seconds: float
    fastest_seconds: float
    kept_runs: int
    """That are no outliers."""
    runs: int


class SystemLatency(TypedDict):
    """The latency of a system; `gpu` is None where the machine has none."""

    regime: Regime
    model: str
    name: str
    architecture_timed_once_for: int
    """Systems with this architecture."""
    cpu: Latency
    gpu: Latency | None


class TimingConditions(TypedDict):
    """Under which the timings were taken."""

    batch_size: int
    sequence_length: int
    warmup_runs: int
    timed_runs: int
    outlier_z: float
    statistic: str
    order: str
    weights: str
    precision: str
    engine: str
    cpu: str
    """Its model name."""
    cpu_threads: int
    cpu_cores: int | None
    gpu: str | None
    """Its name; None where the machine has none."""
    gpu_synchronised: bool | None
    date: str
    """YYYY-MM-DD, UTC."""


class SpeedRecord(TypedDict):
    """`R/benchmarks/inference_speed.json`."""

    conditions: TimingConditions
    rows: list[SystemLatency]


read_efficiency, write_efficiency = record_file(EfficiencyRecord)
read_speed, write_speed = record_file(SpeedRecord)
