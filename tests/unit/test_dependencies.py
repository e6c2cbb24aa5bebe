"""Pins: everything that is pinned is used, everything that is imported is pinned, environments hold what their rules import."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.imports import imports_of, needed_by, normalized, python_files, third_party

# Direct requirements that no file imports, and what they are there for.
TOOLS = {
    "accelerate": "transformers' Trainer, a peer in a benchmark",
    "mypy": "make lint",
    "pandas-stubs": "mypy",
    "pytest-xdist": "make test",
    "ruff": "make lint",
    "snakefmt": "make lint",
    "snakemake": "Snakefile",
    "snakemake-executor-plugin-slurm": "profiles/slurm",
    "types-pyyaml": "mypy",
    "types-tqdm": "mypy",
}
# Installed by a direct requirement and imported only to test it.
BROUGHT = {"snakemake-executor-plugin-slurm-jobstep"}


def pins(text: str) -> dict[str, str]:
    """Distribution -> version, of the lines NAME==VERSION."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return {
        normalized(name): version for name, _, version in (line.partition("==") for line in lines if line)
    }


@pytest.fixture(scope="module")
def required(project: Path) -> dict[str, str]:
    return pins((project / "requirements.txt").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def locked(project: Path) -> dict[str, str]:
    return pins((project / "requirements.lock").read_text(encoding="utf-8"))


def test_requirements_are_imported_or_named_as_tools(required: dict[str, str]) -> None:
    files = python_files("workflow", "tests", "benchmarks")
    imported = third_party(entry.module for path in files for entry in imports_of(path)) - BROUGHT
    assert required.keys() - imported - TOOLS.keys() == set(), "pinned, but nothing imports them"
    assert imported - required.keys() == set(), "imported, but requirements.txt does not pin them"
    assert TOOLS.keys() - required.keys() == set(), "named here as tools, but not pinned"


def test_requirements_are_locked_at_the_same_versions(
    required: dict[str, str], locked: dict[str, str]
) -> None:
    assert {name: locked.get(name) for name in required} == required


def environments(project: Path) -> dict[str, dict[str, str]]:
    """Environment file -> its pins for pip."""
    found = {}
    for path in sorted((project / "envs").glob("*.yaml")):
        dependencies = yaml.safe_load(path.read_text(encoding="utf-8"))["dependencies"]
        (entry,) = (entry for entry in dependencies if isinstance(entry, dict))
        found[path.stem] = pins("\n".join(entry["pip"]))
    return found


def stages(project: Path) -> dict[str, set[str]]:
    """Environment -> what the rules that name it start: programs `NAME.py` and modules after `python -m`."""
    found: dict[str, set[str]] = {}
    for path in sorted((project / "rules").glob("*.smk")):
        for rule in re.split(r"^rule ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            started = set(re.findall(r"PROGRAMS/(\w+\.py)|python -m (\w+)", rule))
            if environment := re.search(r'"\.\./envs/(\w+)\.yaml"', rule):
                found.setdefault(environment[1], set()).update(one or other for one, other in started)
            else:
                assert not started, f"{path.name}: rule {rule.partition(':')[0]} names no environment"
    return found


def test_environments_hold_exactly_what_their_rules_import(project: Path) -> None:
    started = stages(project)
    assert environments(project).keys() == started.keys()
    for name, held in environments(project).items():
        programs = [project / "workflow/scripts" / entry for entry in started[name] if entry.endswith(".py")]
        modules = {entry for entry in started[name] if not entry.endswith(".py")}
        assert held.keys() == needed_by(programs) | third_party(modules), f"envs/{name}.yaml"


def test_environments_carry_the_pins_of_the_lock_file(project: Path, locked: dict[str, str]) -> None:
    for name, held in environments(project).items():
        assert {pin: locked.get(pin) for pin in held} == held, f"envs/{name}.yaml"
