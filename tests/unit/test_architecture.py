"""Layers: packages import only from layers below, no modules import each other, and every program is in use."""

from __future__ import annotations

from pathlib import Path

from tests.imports import cycles, library_graph, package_graph, programs

# From the bottom up. A package imports from lower layers only, so not from other packages of its own.
LAYERS = (
    {"common"},
    {"settings"},
    {"sources", "synthetic"},
    {"corpus"},
    {"tokenizers"},
    {"tasks"},
    {"models", "serving"},
    {"training"},
    {"pretraining", "distillation"},
    {"efficiency"},
    {"export"},
    {"reporting"},
    {"command"},
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
    assert cycles(library_graph()) == []


def test_every_program_is_used_or_documented(project: Path) -> None:
    """A program is called by a rule, by the Makefile or explained in the documentation."""
    places = [*project.glob("rules/*.smk"), project / "Makefile", *project.glob("docs/*.md")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in places)
    assert [path.name for path in programs() if path.name not in text] == []
