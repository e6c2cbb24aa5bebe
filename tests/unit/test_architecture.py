"""Layers: packages import only from layers below, no modules import each other, and every program is in use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.imports import cycles, library_graph, package_graph

# From the bottom up. A package imports from lower layers only, so not from other packages of its own.
LAYERS = (
    {"common"},
    {"settings"},
    {"sources", "synthetic"},
    {"corpus"},
    {"tokenizers"},
    {"tasks"},
    {"models"},
    {"training"},
    {"pretraining", "distillation"},
    {"efficiency"},
    {"reporting"},
)


def test_packages_import_from_lower_layers_only() -> None:
    layer = {package: level for level, packages in enumerate(LAYERS) for package in packages}
    graph = package_graph()
    assert graph.keys() == layer.keys(), "LAYERS must name every package below ligero, and no other"
    wrong = [
        f"{package} imports {other}"
        for package, imported in graph.items()
        for other in imported
        if layer[other] >= layer[package]
    ]
    assert not wrong, wrong


def test_no_modules_import_each_other() -> None:
    assert cycles(library_graph(for_types=False)) == []


def programs(project: Path) -> list[str]:
    """Names of the files in workflow/scripts that are run, not imported."""
    return sorted(path.stem for path in (project / "workflow/scripts").glob("[!_]*.py"))


def test_every_program_is_used_or_documented(project: Path) -> None:
    """A program is called by a rule, by the Makefile or explained in the documentation."""
    places = [*project.glob("rules/*.smk"), project / "Makefile", *project.glob("docs/*.md")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in places)
    assert [name for name in programs(project) if f"{name}.py" not in text] == []


@pytest.mark.slow
def test_every_program_finds_the_library_from_a_plain_checkout(project: Path, tmp_path: Path) -> None:
    """Each import starts with nothing on the path but the program's own folder, as `python workflow/scripts/NAME.py` does."""
    code = f"""
import importlib, sys
for name in {programs(project)}:
    importlib.import_module(name)
    sys.path.remove({str(project / "workflow")!r})
    for module in [module for module in sys.modules if module.split(".")[0] in ("ligero", "_library")]:
        del sys.modules[module]
"""
    environment = {**os.environ, "PYTHONPATH": str(project / "workflow/scripts")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
