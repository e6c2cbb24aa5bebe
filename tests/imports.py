"""Which file of the project imports what, read from syntax trees: nothing is imported to find out."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Container, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).parents[1]

# Distributions whose name is not that of the package they install.
DISTRIBUTIONS = {"yaml": "pyyaml", "sklearn": "scikit-learn", "pydantic_core": "pydantic"}


class Import(NamedTuple):
    """An imported module, and whether only a type checker imports it."""

    module: str
    for_types: bool


def normalized(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def _import_statements(path: Path) -> tuple[tuple[str, tuple[str, ...], bool], ...]:
    """(module, names taken from it, for type checkers alone) of every absolute import in a file, top-level or not."""
    found = []

    def visit(node: ast.AST, for_types: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend((alias.name, (), for_types) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.append((node.module, tuple(alias.name for alias in node.names), for_types))
        for_types = for_types or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
                visit(child, for_types)

    for statement in ast.parse(path.read_text(encoding="utf-8"), str(path)).body:
        visit(statement, False)
    return tuple(found)


def imports_of(path: Path, modules: Container[str] = ()) -> Iterator[Import]:
    """Absolute imports of a file, at its top and within functions.

    `from a import b` is an import of `a.b` where that is one of `modules`, and of `a` otherwise.
    """
    for module, names, for_types in _import_statements(path):
        for full in [f"{module}.{name}" for name in names] or [module]:
            yield Import(full if full in modules else module, for_types)


def python_files(*folders: str, project: Path = PROJECT) -> list[Path]:
    """All Python files below these folders of the project."""
    return sorted(path for folder in folders for path in (project / folder).rglob("*.py"))


def programs(project: Path = PROJECT) -> list[Path]:
    """The files in workflow/scripts that are started, not imported."""
    return sorted((project / "workflow" / "scripts").glob("[!_]*.py"))


def library_modules(project: Path = PROJECT) -> dict[str, Path]:
    """Dotted name -> file, for every module of the library."""
    found = {}
    for path in sorted((project / "workflow" / "ligero").rglob("*.py")):
        parts = path.relative_to(project / "workflow").with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def library_graph(project: Path = PROJECT) -> dict[str, set[str]]:
    """Module of the library -> modules of the library that it imports, be it for its types only."""
    modules = library_modules(project)
    return {
        name: {entry.module for entry in imports_of(path, modules) if entry.module in modules} - {name}
        for name, path in modules.items()
    }


def package_graph(project: Path = PROJECT) -> dict[str, set[str]]:
    """Package directly below `ligero` -> packages there that it imports."""
    graph: dict[str, set[str]] = {}
    for name, imported in library_graph(project).items():
        if len(parts := name.split(".")) > 1:
            others = {other.split(".")[1] for other in imported if "." in other}
            graph.setdefault(parts[1], set()).update(others - {parts[1]})
    return graph


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of two or more nodes that reach each other (Tarjan's strongly connected components), each sorted."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph[node]):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                found.append(sorted(group))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def third_party(modules: Iterable[str], project: Path = PROJECT) -> set[str]:
    """Distributions that these modules come from; the standard library and the project's own are left out."""
    roots = {module.partition(".")[0] for module in modules} - set(sys.stdlib_module_names)
    beside = python_files(
        "workflow/scripts", "benchmarks", project=project
    )  # programs import their neighbours by bare names
    own = {"ligero", "tests", "benchmarks", *(path.stem for path in beside)}
    return {normalized(DISTRIBUTIONS.get(root, root)) for root in roots - own}


def needed_by(files: Iterable[Path], project: Path = PROJECT) -> set[str]:
    """Distributions that programs import, themselves or through the modules of the library that they reach."""
    modules = library_modules(project)
    waiting, seen, found = list(files), set(), set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for name, for_types in imports_of(path, modules):
            if for_types:
                continue
            if name.partition(".")[0] == "ligero":
                parts = name.split(".")  # importing a.b.c runs the packages a and a.b first
                waiting += [modules[".".join(parts[:end])] for end in range(1, len(parts) + 1)]
            elif (beside := path.with_name(f"{name}.py")).exists():
                waiting.append(beside)
            else:
                found.add(name)
    return third_party(found, project)
