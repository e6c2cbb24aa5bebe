"""Latency of every system on the present device, by the thesis' protocol (batch 1, fixed length, outliers left out)."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from statistics import fmean, median

import torch
from torch import Tensor, nn

from ligero.common.progress import progress
from ligero.efficiency.classifier import build_classifier, random_input
from ligero.efficiency.outliers import without_outliers
from ligero.efficiency.processor import processor
from ligero.efficiency.records import Device, Latency, SpeedRecord, TimingConditions
from ligero.efficiency.systems import check_length, with_vocabulary
from ligero.settings.efficiency import Speed
from ligero.settings.jobs import SpeedJob
from ligero.settings.models import Architecture

LABELS = 3
"""Classes of the timed classifier, as in the thesis; their number moves no clock."""


def devices() -> list[Device]:
    """Devices to measure on, by the names used in the tables: always the CPU, and the first GPU where there is one."""
    return ["cpu", "gpu"] if torch.cuda.is_available() else ["cpu"]


def timed_pass(model: nn.Module, ids: Tensor) -> float:
    """Seconds of one forward pass. A GPU works asynchronously: it is waited for before each reading of the clock."""
    waits = ids.is_cuda
    if waits:
        torch.cuda.synchronize()
    start = time.perf_counter()
    model(ids)
    if waits:
        torch.cuda.synchronize()
    return time.perf_counter() - start


def time_in_turn(models: list[tuple[nn.Module, Tensor]], speed: Speed, label: str) -> list[list[float]]:
    """Seconds of every timed run of every model.

    The models take turns (A, B, ..., A, B, ...), so that a clock that drifts or a neighbour that wakes up hits all alike.
    """
    rounds = speed.warmup_runs + speed.timed_runs
    seconds: list[list[float]] = [[] for _ in models]
    bar = progress(total=rounds * len(models), label=label, unit="run")
    with torch.inference_mode(), bar:
        for number in range(rounds):
            for (model, ids), kept in zip(models, seconds, strict=True):
                elapsed = timed_pass(model, ids)
                if number >= speed.warmup_runs:
                    kept.append(elapsed)
                bar.update()
    return seconds


def summarise(seconds: list[float], threshold: float) -> Latency:
    """Median and mean latency in seconds without outliers, and inferences a second by the median."""
    kept = without_outliers(seconds, threshold)
    return {
        "inferences_per_second": 1.0 / median(kept),
        "median_seconds": median(kept),
        "mean_seconds": fmean(kept),
        "fastest_seconds": min(kept),
        "kept_runs": len(kept),
        "runs": len(seconds),
    }


def measure(job: SpeedJob, sizes: Mapping[str, int]) -> SpeedRecord:
    """Latency of every system; systems of the same architecture are timed once.

    Weights are random: latency depends on the architecture alone, so the benchmark needs no training.

    Raises:
        ConfigurationError: a vocabulary size is missing, or the length exceeds a model's positions.
    """
    speed = job.conditions
    check_length(job.systems, speed.sequence_length, "speed.sequence_length")
    architectures = [with_vocabulary(system, sizes) for system in job.systems]
    distinct = list(dict.fromkeys(architectures))
    results: dict[Device, dict[Architecture, Latency]] = {}
    for device in devices():
        models = [_on(device, architecture, LABELS, speed.sequence_length) for architecture in distinct]
        timings = time_in_turn(models, speed, f"timing on the {device.upper()}")
        results[device] = {
            architecture: summarise(seconds, speed.outlier_z)
            for architecture, seconds in zip(distinct, timings, strict=True)
        }
        del models
    return {
        "conditions": conditions(speed),
        "rows": [
            {
                "regime": system.regime,
                "model": system.model_id,
                "name": system.name,
                "architecture_timed_once_for": architectures.count(architecture),
                "cpu": results["cpu"][architecture],
                "gpu": results["gpu"][architecture] if "gpu" in results else None,
            }
            for system, architecture in zip(job.systems, architectures, strict=True)
        ],
    }


def _on(device: str, architecture: Architecture, labels: int, length: int) -> tuple[nn.Module, Tensor]:
    assert architecture.vocab_size is not None
    target = torch.device("cuda" if device == "gpu" else "cpu")
    model = build_classifier(architecture, labels).to(target)
    return model, random_input(architecture.vocab_size, length).to(target)


def conditions(speed: Speed) -> TimingConditions:
    """Under which the timings were taken: protocol, device, threads, versions, date."""
    return {
        "batch_size": 1,
        "sequence_length": speed.sequence_length,
        "warmup_runs": speed.warmup_runs,
        "timed_runs": speed.timed_runs,
        "outlier_z": speed.outlier_z,
        "statistic": "median of the runs kept",
        "order": "models in turn",
        "weights": "random",
        "precision": "fp32",
        "engine": f"torch {torch.__version__}, fused attention, not compiled",
        "cpu": processor()["name"],
        "cpu_threads": torch.get_num_threads(),
        "cpu_cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        "gpu_synchronised": True if torch.cuda.is_available() else None,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }
