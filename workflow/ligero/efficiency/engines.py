"""What can run an exported model: onnxruntime, OpenVINO where it is installed, and torch where the trained model is at hand.

Needs no torch itself, so that exports can be measured where they are served.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ligero.serving.manifest import Manifest
from ligero.serving.predictor import FULL_DEPTH, GraphRunner, load_tokenizer, model_inputs
from ligero.serving.readers import Feature

if TYPE_CHECKING:
    from torch import nn

    from ligero.settings.tasks import TaskType

Run = Callable[[Sequence[Feature]], object]
"""A forward pass of features that share a batch."""
EnergyMethod = Literal["rapl", "none"]
EAGER = "torch, eager attention, fp32"
_RAPL = Path("/sys/class/powercap")


@dataclass(frozen=True)
class Engine:
    """A way to run the model.

    Attributes:
        file: with the weights.
        open: loads it; the result runs.
    """

    name: str
    file: Path
    open: Callable[[], Run]


def engines_of(folder: Path, trained: Path | None, threads: int) -> Iterator[Engine]:
    """Every engine that can run an exported model here, one at a time: whoever stops at one has imported none of those behind it.

    Args:
        trained: folder of the model that was exported, for torch; None leaves torch out.
    """
    manifest = Manifest.read(folder)
    if trained is not None and find_spec("torch"):
        weights = next(iter(sorted(trained.glob("model*.safetensors"))), trained)
        for name, tuned in ((EAGER, False), ("torch, fused attention, fastest precision", True)):
            yield Engine(name, weights, partial(_torch, manifest, trained, tuned, threads))
    for precision, graph in manifest.graphs.items():
        thresholds = {f"ONNX {precision}": FULL_DEPTH}
        if exits := manifest.leaving_early(precision):
            thresholds[f"ONNX {precision}, early exit"] = exits["threshold"]
        for name, threshold in thresholds.items():
            yield Engine(
                name,
                folder / graph.file,
                lambda graph=graph, threshold=threshold: partial(  # type: ignore[misc]
                    GraphRunner(
                        folder / graph.file, manifest.tokenizer.special["pad"], graph.batches, threads
                    ).run,
                    threshold=threshold,
                ),
            )
    if find_spec("openvino"):
        yield from _openvino(folder, manifest, threads)


def _torch(manifest: Manifest, trained: Path, tuned: bool, threads: int) -> Run:
    """The trained model as the thesis ran it, or with this project's kernels and the precision that is fastest here."""
    import torch

    from ligero.models.heads import load_selected
    from ligero.models.precision import autocast, resolve

    torch.set_num_threads(threads)
    device = torch.device("cpu")
    load = load_selected if tuned else _as_transformers_runs_it
    model = load(trained, manifest.task_type)
    precision = resolve("auto" if tuned else "fp32", device)
    reads_segments = getattr(model.config, "type_vocab_size", 0) > 1

    def run(features: Sequence[Feature]) -> object:
        arrays = model_inputs(features, manifest.tokenizer.special["pad"])
        if not reads_segments:
            del arrays["token_type_ids"]
        tensors = {name: torch.from_numpy(values) for name, values in arrays.items()}
        with torch.inference_mode(), autocast(precision, device):
            return model(**tensors)

    return run


def _as_transformers_runs_it(trained: Path, task_type: TaskType) -> nn.Module:
    """Without this project's faster kernels."""
    import torch

    from ligero.models.architectures import model_class, read_config

    model: nn.Module = model_class(read_config(trained).model_type, task_type).from_pretrained(
        trained, attn_implementation="eager", dtype=torch.float32
    )
    return model.eval()


def _openvino(folder: Path, manifest: Manifest, threads: int) -> Iterator[Engine]:
    """Each graph in OpenVINO: in its own precision, and with the rest in bf16 where the processor has that."""
    core: Any = importlib.import_module("openvino").Core()

    def opened(file: Path, hint: str) -> Run:
        options = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": hint}
        compiled = core.compile_model(core.read_model(file), "CPU", options)
        request = compiled.create_infer_request()
        names = [entry.any_name for entry in compiled.inputs]

        def run(features: Sequence[Feature]) -> object:
            arrays = {
                **model_inputs(features, manifest.tokenizer.special["pad"]),
                "threshold": np.array(FULL_DEPTH, np.float32),
            }
            return request.infer({name: arrays[name] for name in names})

        return run

    for precision, graph in manifest.graphs.items():
        name, file = f"OpenVINO {precision}", folder / graph.file
        yield Engine(name, file, partial(opened, file, "f32"))
        if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            yield Engine(f"{name} and bf16", file, partial(opened, file, "bf16"))


class EnergyMeter:
    """Joules that the processor's packages have used, by their own counters; `none` where these cannot be read.

    Attributes:
        method: how energy is measured. It is never estimated.
    """

    def __init__(self, folder: Path = _RAPL) -> None:
        self._packages = [
            package
            for package in sorted(folder.glob("intel-rapl:?"))
            if os.access(package / "energy_uj", os.R_OK)
        ]
        self.method: EnergyMethod = "rapl" if self._packages else "none"
        self._before = self._counters()

    def _counters(self) -> list[int]:
        return [int((package / "energy_uj").read_text()) for package in self._packages]

    def since_last(self) -> float | None:
        """Joules since the last call (or the start), of everything that ran on the machine; None without counters."""
        if not self._packages:
            return None
        now, used = self._counters(), 0
        for package, before, after in zip(self._packages, self._before, now, strict=True):
            wraps = int((package / "max_energy_range_uj").read_text()) if after < before else 0
            used += after - before + wraps
        self._before = now
        return used / 1e6


@dataclass(frozen=True)
class Timing:
    """How long something took: medians over the runs, and the quartiles of the time that passed.

    Attributes:
        processor: seconds of processor time; on a machine with other work, less disturbed than the time that passed.
        joules: mean; None where energy cannot be measured.
    """

    seconds: float
    low: float
    high: float
    processor: float
    joules: float | None


def in_turn(
    contenders: Mapping[str, Callable[[], object]], runs: int, meter: EnergyMeter
) -> dict[str, Timing]:
    """Time contenders that take turns (A, B, ..., A, B, ...), so that other load meets all alike; the first turn warms up.

    Args:
        runs: of each contender that count, at least 2.
    """
    passed: dict[str, list[float]] = {name: [] for name in contenders}
    processor: dict[str, list[float]] = {name: [] for name in contenders}
    energy: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(runs + 1):
        for name, run in contenders.items():
            meter.since_last()
            before, start = time.process_time(), time.perf_counter()
            run()
            end, after = time.perf_counter(), time.process_time()
            joules = meter.since_last()
            if turn:
                passed[name].append(end - start)
                processor[name].append(after - before)
                if joules is not None:
                    energy[name].append(joules)
    found = {}
    for name in contenders:
        low, _, high = quantiles(passed[name], n=4, method="inclusive")
        joules = sum(energy[name]) / len(energy[name]) if energy[name] else None
        found[name] = Timing(median(passed[name]), low, high, median(processor[name]), joules)
    return found


def answer_once(engine: str, folder: str, trained: str, threads: str, length: str) -> None:
    """In a process of its own: load an engine and a tokenizer, answer a short text, report it, then read one of `length` tokens.

    Two lines come out: `answered`, and the most memory that the process had (bytes; 0 where the system does not say).
    """
    manifest = Manifest.read(Path(folder))
    load_tokenizer(Path(folder), manifest.tokenizer)
    engines = engines_of(Path(folder), Path(trained) if trained else None, int(threads))
    run = next(one for one in engines if one.name == engine).open()
    special = manifest.tokenizer.special["unk"]
    run([Feature([special] * 8, [0] * 8)])
    print("answered", flush=True)
    run([Feature([special] * int(length), [0] * int(length))])
    status = Path("/proc/self/status")
    peak = (
        [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        if status.exists()
        else []
    )
    sys.stdout.write(f"{int(peak[0]) * 1024 if peak else 0}\n")
