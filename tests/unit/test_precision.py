"""Precision `auto`: what the device can really do, kept for the machine's next process and for work that is resumed elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from ligero.common.records import DamagedError
from ligero.models import precision
from ligero.models.precision import matrix_speeds, resolve, resolve_once

CPU, GPU = torch.device("cpu"), torch.device("cuda")
WITH_BF16 = {"architecture": "x86_64", "cpu_name": "new", "avx512_bf16": True, "amx_bf16": False}
WITHOUT_BF16 = {"architecture": "x86_64", "cpu_name": "old", "avx512_bf16": False, "amx_bf16": False}
ARM = {"architecture": "aarch64", "cpu_name": "arm"}


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A process that has measured nothing yet, of a user with an empty cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for cached in (precision.matrix_speeds, precision._warn_where_slower):
        cached.cache_clear()
    yield
    for cached in (precision.matrix_speeds, precision._warn_where_slower):
        cached.cache_clear()


def processor(
    monkeypatch: pytest.MonkeyPatch, abilities: dict[str, Any], fp32: float, bf16: float
) -> list[int]:
    """A processor with these abilities and speeds; the list grows with every measurement."""
    measured: list[int] = []

    def measure(device: torch.device) -> dict[str, float]:
        measured.append(1)
        return {"fp32": fp32, "bf16": bf16}

    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities)
    monkeypatch.setattr(precision, "_measure", measure)
    return measured


@pytest.mark.parametrize(
    ("abilities", "bf16", "expected", "measurements"),
    [
        (WITH_BF16, 180.0, "bf16", 1),
        (WITH_BF16, 80.0, "fp32", 1),
        (WITHOUT_BF16, 180.0, "fp32", 0),
        (ARM, 180.0, "bf16", 1),
        (ARM, 0.9, "fp32", 1),
    ],
)
def test_a_processor_takes_the_faster_one_and_measures_only_where_its_instructions_do_not_say(
    monkeypatch: pytest.MonkeyPatch, abilities: dict[str, Any], bf16: float, expected: str, measurements: int
) -> None:
    measured = processor(monkeypatch, abilities, 80.0, bf16)
    assert resolve("auto", CPU) == expected
    assert len(measured) == measurements


@pytest.mark.parametrize(
    ("native", "capability", "scaled", "expected"),
    [
        (True, (9, 0), True, "bf16"),
        (False, (7, 5), True, "fp16"),
        (False, (7, 5), False, "fp32"),
        (False, (6, 1), True, "fp32"),
    ],
)
def test_a_gpu_takes_bf16_only_where_it_computes_in_it(
    monkeypatch: pytest.MonkeyPatch, native: bool, capability: tuple[int, int], scaled: bool, expected: str
) -> None:
    def supported(including_emulation: bool = True) -> bool:
        return native or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert resolve("auto", GPU, loss_scaling=scaled) == expected


def test_speeds_are_measured_once_a_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    measured = processor(monkeypatch, WITH_BF16, 80.0, 180.0)
    assert matrix_speeds(CPU) == {"fp32": 80.0, "bf16": 180.0}
    (kept,) = (tmp_path / "cache/ligero").iterdir()
    matrix_speeds.cache_clear()  # another process
    assert matrix_speeds(CPU) == {"fp32": 80.0, "bf16": 180.0} and len(measured) == 1
    kept.write_text("{")
    matrix_speeds.cache_clear()
    assert matrix_speeds(CPU)["bf16"] == 180.0 and len(measured) == 2, "a damaged file is measured anew"
    processor(monkeypatch, {**WITH_BF16, "amx_bf16": True}, 80.0, 900.0)
    matrix_speeds.cache_clear()
    assert matrix_speeds(CPU)["bf16"] == 900.0, "another processor of the same name and home folder"


def test_a_cache_folder_that_cannot_be_written_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    processor(monkeypatch, WITH_BF16, 80.0, 180.0)
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert resolve("auto", CPU) == "bf16"


def test_speeds_are_really_measured() -> None:
    speeds = precision._measure(CPU)
    assert speeds.keys() == {"fp32", "bf16"} and min(speeds.values()) > 0


def test_waiting_for_other_processes_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine once measured 15 GFLOP/s in bf16 and 24 in fp32 where an idle one does 210 and 104, and that was kept."""
    threads: list[int] = []
    torch.set_num_threads(2)
    real = precision.autocast

    def waits(asked: Any, device: torch.device) -> Any:
        threads.append(torch.get_num_threads())
        return real(asked, device)

    monkeypatch.setattr(precision, "autocast", waits)
    monkeypatch.setattr(precision.time, "perf_counter", lambda: pytest.fail("the clock on the wall"))
    precision._measure(CPU)
    assert set(threads) == {1}
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)


def test_slower_bf16_is_taken_when_asked_for_and_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    processor(monkeypatch, WITHOUT_BF16, 50.0, 0.9)
    assert [resolve("bf16", CPU), resolve("bf16", CPU)] == ["bf16", "bf16"]
    said = capsys.readouterr().err
    assert said.count("warning: precision: bf16 is slower than fp32 here") == 1
    assert "0.9 GFLOP/s in bf16 and 50 in fp32" in said


def test_faster_bf16_and_other_precisions_are_taken_in_silence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    processor(monkeypatch, WITH_BF16, 80.0, 180.0)
    assert [resolve(asked, CPU) for asked in ("bf16", "fp32", "fp16")] == ["bf16", "fp32", "fp16"]
    assert capsys.readouterr().err == ""


def test_work_goes_on_in_the_precision_that_it_began_with(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    note = tmp_path / "state" / "precision.json"
    processor(monkeypatch, WITH_BF16, 80.0, 180.0)
    assert resolve_once("auto", CPU, note) == "bf16"
    processor(monkeypatch, WITHOUT_BF16, 80.0, 0.9)
    assert resolve("auto", CPU) == "fp32" and resolve_once("auto", CPU, note) == "bf16"
    assert [path.name for path in note.parent.iterdir()] == ["precision.json"]
    note.write_text(note.read_text().replace("bf16", "fp16"))
    with pytest.raises(DamagedError, match=r"precision\.json: it was changed after it was written"):
        resolve_once("auto", CPU, note)


def test_what_is_asked_for_by_name_needs_no_note(tmp_path: Path) -> None:
    assert resolve_once("fp32", CPU, tmp_path / "precision.json") == "fp32"
    assert list(tmp_path.iterdir()) == []
