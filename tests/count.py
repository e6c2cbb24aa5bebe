"""Count what should shrink: `make count`, or `python -m tests.count [--project FOLDER] [--where]`.

Prints lines of the library, uses of `dict[str, Any]` in it, import cycles, pins that nothing imports, and words of
tests/dialect.txt in documentation, messages and docstrings. `--where` lists each of them.

Before the restructuring that preceded 0.1.0 (commit ae17841) it printed 24,192 lines, 159 uses of `dict[str, Any]`, 1 cycle
between packages, 1 between modules, 19 pins that nothing imported and 187 words of dialect.
"""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.imports import PROJECT, cycles, library_graph, package_graph, python_files
from tests.pins import unused

LIBRARY = "workflow/ligero"
GENERATED = {"configuration.md"}  # from docstrings, which are counted


def library_lines(project: Path) -> int:
    """Physical lines of the library."""
    return sum(
        len(path.read_text(encoding="utf-8").splitlines()) for path in python_files(LIBRARY, project=project)
    )


def untyped(project: Path) -> list[str]:
    """FILE:LINE of every `dict[str, Any]` in the library."""
    return [
        f"{path.relative_to(project)}:{number}"
        for path in python_files(LIBRARY, project=project)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for _ in range(line.count("dict[str, Any]"))
    ]


def prose(project: Path) -> Iterator[tuple[Path, int, str]]:
    """(file, line, text) of what a person reads: documentation, and the strings of the library, the programs and the rules."""
    for path in [*project.glob("*.md"), *project.glob("docs/*.md"), *project.glob("workflow/report/*.rst")]:
        if path.name not in GENERATED:
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                yield path, number, line
    for path in python_files("workflow", project=project):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for number, line in enumerate(node.value.splitlines(), node.lineno):
                    yield path, number, line
    for path in project.glob("rules/*.smk"):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            yield path, number, line


def words_to_avoid() -> re.Pattern[str]:
    """The expressions of tests/dialect.txt as one."""
    lines = Path(__file__).with_name("dialect.txt").read_text(encoding="utf-8").splitlines()
    return re.compile(
        "|".join(line.partition("  #")[0] for line in lines if line and line[0] != "#"), re.IGNORECASE
    )


def dialect(project: Path) -> list[str]:
    """FILE:LINE: WORD of every word of tests/dialect.txt."""
    words = words_to_avoid()
    return [
        f"{path.relative_to(project)}:{number}: {match[0]}"
        for path, number, line in prose(project)
        for match in words.finditer(line)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--project", type=Path, default=PROJECT, help="another checkout of the project")
    parser.add_argument("--where", action="store_true", help="list each of them")
    arguments = parser.parse_args()
    project = arguments.project.resolve()
    print(f"{library_lines(project):6} lines in {LIBRARY}")
    for what, found in (
        ("uses of dict[str, Any] there", untyped(project)),
        ("import cycles between packages", [" ".join(cycle) for cycle in cycles(package_graph(project))]),
        ("import cycles between modules", [" ".join(cycle) for cycle in cycles(library_graph(project))]),
        ("pins that nothing imports", unused(project)),
        ("words of tests/dialect.txt", dialect(project)),
    ):
        print(f"{len(found):6} {what}")
        if arguments.where:
            print(*(f"         {place}" for place in found), sep="\n")


if __name__ == "__main__":
    main()
