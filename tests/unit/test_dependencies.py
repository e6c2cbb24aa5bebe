"""Pins: everything that is pinned is used, everything that is imported is pinned, environments hold what their rules import."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.imports import needed_by
from tests.pins import TOOLS, environments, imported, imported_in, pins, stages, unused


@pytest.fixture(scope="module")
def required(project: Path) -> dict[str, str]:
    return pins((project / "requirements.txt").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def locked(project: Path) -> dict[str, str]:
    return pins((project / "requirements.lock").read_text(encoding="utf-8"))


def test_every_pin_is_imported_or_a_tool(required: dict[str, str]) -> None:
    assert unused() == []
    assert TOOLS.keys() - required.keys() == set(), "named as tools in tests/pins.py, but not pinned"


def test_everything_imported_is_a_direct_requirement(required: dict[str, str]) -> None:
    assert imported() - required.keys() == set()


def test_requirements_are_locked_at_the_same_versions(
    required: dict[str, str], locked: dict[str, str]
) -> None:
    assert {name: locked.get(name) for name in required} == required


def test_environments_hold_what_their_rules_import(project: Path) -> None:
    assert environments(project).keys() == stages(project).keys()
    missing = {name: imported_in(name) - held.keys() for name, held in environments(project).items()}
    assert not any(missing.values()), missing


def test_environments_carry_the_pins_of_the_lock_file(project: Path, locked: dict[str, str]) -> None:
    for name, held in environments(project).items():
        assert {pin: locked.get(pin) for pin in held} == held, f"envs/{name}.yaml"


def test_serving_holds_what_it_imports_at_the_versions_of_the_lock(
    project: Path, locked: dict[str, str]
) -> None:
    held = pins((project / "envs/serving.txt").read_text(encoding="utf-8"))
    assert {pin: locked.get(pin) for pin in held} == held
    library = project / "workflow/ligero"
    direct = needed_by(
        [library / "serving/app.py", library / "command/predict.py", library / "command/serve.py"]
    )
    brought = {"anyio", "idna", "typing-extensions", "click", "h11"}  # by starlette and uvicorn
    elsewhere = {"seqeval"}  # imported where predictions are scored, which serving does not
    assert held.keys() == direct - elsewhere | brought
