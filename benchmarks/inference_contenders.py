"""BETO as transformers runs it and as an exported graph, and light models as exported graphs in fp32 and int8."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from ligero.common.errors import MismatchError
from ligero.efficiency.engines import EnergyMeter, in_turn
from ligero.efficiency.processor import processor
from ligero.export.graph import MICROSOFT, Graph
from ligero.export.parity import TOLERANCE
from ligero.serving.predictor import GraphRunner
from ligero.serving.readers import Feature
from ligero.serving.session import open_session
from ligero.settings.models import Architecture
from untrained_models import BETO, FIRST_WORD, TINY, VOCABULARY, Untrained, base

COLUMNS = ("measure", "ours", "peer", "peer_name", "unit", "ratio", "aim")
Line = tuple[Any, ...]
LENGTH, MEAN_LENGTH, TEXTS = 512, 30, 32
PEAK_ROWS, PEAK_WIDTH = 512, 1024
EAGER, EXPORTED = "BETO, transformers eager", "BETO, exported in fp32"
SAME_TEXTS, ONE_TEXT = "the same texts padded to 512", "one of them padded to 512"

_AIMS: dict[str, dict[str, dict[str, float]]] = {
    "vnni": {
        "fp32": {"tiny": 37, "base-2": 19, "base-4": 8},
        "int8": {"tiny": 60, "base-2": 49, "base-4": 18, "base-8": 8},
    },
    "avx2": {
        "fp32": {"tiny": 13, "base-2": 6.5, "base-4": 3.3},
        "int8": {"tiny": 20, "base-2": 10, "base-4": 5},
    },
}
"""Speed over BETO eager that the project set itself, by what the processor has."""


def measure(turns: int, layers: Sequence[int]) -> list[Line]:
    """Lines of COLUMNS; all contenders take turns, and seconds are the processor's."""
    flags = processor()["flags"]
    has_vnni = any("vnni" in flag or "amx_int8" in flag for flag in flags)
    aims = _AIMS["vnni" if has_vnni else "avx2"]
    generator = np.random.default_rng(0)
    long = _feature(generator, LENGTH)
    lengths = np.clip(generator.gamma(3.0, MEAN_LENGTH / 3.0, TEXTS), 4, LENGTH).astype(int).tolist()
    texts = [_feature(generator, length) for length in lengths]
    padded = [Feature(text.tokens + [0] * (LENGTH - len(text.tokens)), [0] * LENGTH) for text in texts]

    shapes = {"tiny": TINY, **{f"base-{count}": base(count) for count in layers}}
    light = {name: Untrained(shape) for name, shape in shapes.items()}
    eager, exported = _beto()
    runners = {
        (name, precision): _runner(getattr(model, precision))
        for name, model in light.items()
        for precision in ("fp32", "int8")
    }
    refuse_other_logits(exported.run([long])[0]["logits"], _forward(eager, long)[0])
    contenders: dict[Any, Callable[[], Any]] = {
        EAGER: lambda: _forward(eager, long),
        EXPORTED: lambda: exported.run([long]),
        **{key: partial(runner.run, [long]) for key, runner in runners.items()},
    }
    seconds = _seconds(contenders, turns)
    lines: list[Line] = []
    for name, precision in runners:
        ours = 1 / seconds[name, precision]
        for peer in (EAGER, EXPORTED):
            aim = aims[precision].get(name, "") if peer == EAGER else ""
            lines.append(
                _line(
                    f"ALBETO {name}, {precision}, 512 tokens", ours, 1 / seconds[peer], peer, "texts/s", aim
                )
            )
    lines.append(
        _line(
            "BETO, exported in fp32, 512 tokens",
            1 / seconds[EXPORTED],
            1 / seconds[EAGER],
            EAGER,
            "texts/s",
            "",
        )
    )

    peaks = _peaks(turns)
    for name in ("fp32", "int8"):
        measured = f"a large product in the engine, {name}"
        lines.append(
            _line(measured, peaks[name] / 1e9, peaks["torch"] / 1e9, "in torch, fp32", "GFLOP/s", "")
        )
    for name, precision in runners:
        most = 1 / _least_seconds(shapes[name], precision, peaks)
        measured = f"bound: ALBETO {name}, {precision}, its products at that speed"
        lines.append(_line(measured, most, 1 / seconds[EAGER], EAGER, "texts/s", ""))

    short = _seconds(
        {
            "ours": lambda: [runners["tiny", "int8"].run([text]) for text in texts],
            "padded": lambda: [runners["tiny", "int8"].run([text]) for text in padded],
            EAGER: lambda: _forward(eager, padded[0]),  # padded to one length, all take as long
        },
        turns,
    )
    mean = f"texts of {np.mean(lengths):.0f} tokens on average"
    ours = TEXTS / short["ours"]
    lines.append(
        _line(f"ALBETO tiny, int8, {mean}", ours, TEXTS / short["padded"], SAME_TEXTS, "texts/s", "")
    )
    lines.append(
        _line(f"ALBETO tiny, int8, {mean}", ours, 1 / short[EAGER], f"{EAGER}, {ONE_TEXT}", "texts/s", 400)
    )
    for name, model in light.items():
        for precision, aim in (("fp32", 1.1), ("int8", "")):
            size = len(getattr(model, precision).SerializeToString()) / 1e6
            lines.append(
                _line(
                    f"file of ALBETO {name}, {precision}",
                    size,
                    model.bytes / 1e6,
                    "its safetensors",
                    "MB",
                    aim,
                )
            )
    return lines


def _seconds(contenders: dict[Any, Callable[[], Any]], turns: int) -> dict[Any, float]:
    """Median processor seconds of each contender."""
    return {name: timing.processor for name, timing in in_turn(contenders, turns, EnergyMeter()).items()}


def _peaks(turns: int) -> dict[str, float]:
    """FLOP/s of one large product of this processor: in torch, and in the engine in fp32 and in int8."""
    generator = np.random.default_rng(0)
    values = generator.standard_normal((PEAK_ROWS, PEAK_WIDTH), np.float32)
    weights = generator.standard_normal((PEAK_WIDTH, PEAK_WIDTH), np.float32)
    ids = {"rows": np.arange(PEAK_ROWS)}
    sessions = {}
    for precision in ("fp32", "int8"):
        graph = Graph()
        if precision == "fp32":
            rows = graph.op("Gather", graph.constant("x", lambda: values), "rows")
            graph.op("MatMul", rows, graph.constant("w", lambda: weights), name="y")
        else:
            levels = graph.constant("x", lambda: generator.integers(0, 255, values.shape, np.uint8))
            matrix = graph.constant("w", lambda: generator.integers(-63, 63, weights.shape, np.int8))
            one = graph.number(1.0)
            rows = graph.op("Gather", levels, "rows")
            graph.op("MatMulIntegerToFloat", rows, matrix, one, one, domain=MICROSOFT, name="y")
        model = graph.model({"rows": ["rows"]}, {"y": ["rows", PEAK_WIDTH]})
        sessions[precision] = open_session(model.SerializeToString(), threads=1)
    ours, theirs = torch.from_numpy(values), torch.from_numpy(weights)
    seconds = _seconds(
        {
            "torch": lambda: ours @ theirs,
            **{name: partial(session.run, None, ids) for name, session in sessions.items()},
        },
        turns,
    )
    return {name: 2 * PEAK_ROWS * PEAK_WIDTH**2 / taken for name, taken in seconds.items()}


def _least_seconds(shape: Architecture, precision: str, peaks: dict[str, float]) -> float:
    """What an exported classifier's products alone take at 512 tokens, at the processor's peak.

    The last layer, of which one row is computed, and all that is no product are left out. Attention is in fp32 always.
    """
    width, inner, layers = shape.hidden_size, shape.intermediate_size, shape.num_hidden_layers - 1
    weights = LENGTH * ((shape.embedding_size or 0) * width + layers * (4 * width**2 + 2 * width * inner))
    attention = layers * 2 * LENGTH**2 * width
    return 2 * weights / peaks[precision] + 2 * attention / peaks["fp32"]


def _line(measured: str, ours: float, peer: float, peer_name: str, unit: str, aim: float | str) -> Line:
    return measured, _short(ours), _short(peer), peer_name, unit, _short(ours / peer), aim


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def _feature(generator: np.random.Generator, length: int) -> Feature:
    return Feature(generator.integers(FIRST_WORD, VOCABULARY, length).tolist(), [0] * length)


def _runner(model: onnx.ModelProto) -> GraphRunner:
    return GraphRunner(model.SerializeToString(), pad=0, batches=True, threads=1)


def _beto() -> tuple[nn.Module, GraphRunner]:
    """BETO as the thesis ran it (plain attention, fp32), and the same weights exported."""
    beto = Untrained(BETO, with_int8=False)
    beto.model.set_attn_implementation("eager")  # type: ignore[operator]
    return beto.model, _runner(beto.fp32)


def refuse_other_logits(exported: NDArray[Any], eager: torch.Tensor) -> None:
    """Before anything is timed.

    Raises:
        MismatchError: they differ by more than rounding.
    """
    if not np.allclose(exported, eager, rtol=0, atol=TOLERANCE):
        raise MismatchError(f"BETO: {exported.tolist()} exported, {eager.tolist()} in transformers")


def _forward(model: nn.Module, feature: Feature) -> torch.Tensor:
    ids = torch.tensor([feature.tokens])
    with torch.inference_mode():
        logits: torch.Tensor = model(ids, attention_mask=(ids != 0).long()).logits
    return logits
