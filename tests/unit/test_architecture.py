"""The house: imports go down only, files stay short, environments carry the lock file's pins."""

from __future__ import annotations

import ast
from pathlib import Path

# From the ground up; a floor may import from lower ones and, within a storey, from no neighbour.
STOREYS = (
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


def storey(package: str) -> int:
    return next(level for level, packages in enumerate(STOREYS) if package in packages)


def imported_packages(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = (
                [node.module] if node.module != "ligero" else [f"ligero.{alias.name}" for alias in node.names]
            )
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("ligero.")}
    return found


def test_imports_go_down_only(project: Path) -> None:
    library = project / "workflow" / "ligero"
    wrong = [
        f"{path.relative_to(library)} imports ligero.{other}"
        for path in library.rglob("*.py")
        if len(path.relative_to(library).parts) > 1
        for package in [path.relative_to(library).parts[0]]
        for other in imported_packages(path) - {package}
        if storey(other) >= storey(package)
    ]
    assert not wrong, "\n".join(wrong)


def imported_modules(path: Path, known: set[str]) -> set[str]:
    """Modules of the library that a file imports, at its top or in a function, but not for types alone."""
    found = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if node in for_types:
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in known else node.module for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & known


def test_no_modules_import_each_other(project: Path) -> None:
    workflow = project / "workflow"
    modules = {
        ".".join(path.relative_to(workflow).with_suffix("").parts).removesuffix(".__init__"): path
        for path in (workflow / "ligero").rglob("*.py")
    }
    remaining = {name: imported_modules(path, set(modules)) for name, path in modules.items()}
    while free := [name for name, imports in remaining.items() if not imports & remaining.keys()]:
        for name in free:
            del remaining[name]
    assert not remaining, f"these import each other, or import those that do: {sorted(remaining)}"


def test_no_file_is_long(project: Path) -> None:
    long = {
        str(path.relative_to(project)): lines
        for folder in ("workflow", "rules", "tests")
        for path in (project / folder).rglob("*")
        if path.suffix in {".py", ".smk"}
        and (lines := len(path.read_text(encoding="utf-8").splitlines())) > 500
    }
    assert not long


def test_every_program_is_used_or_documented(project: Path) -> None:
    """A program is called by a rule, by the Makefile or explained in the documentation."""
    places = [
        *project.glob("rules/*.smk"),
        project / "Makefile",
        project / "README.md",
        *project.glob("docs/*.md"),
    ]
    text = "\n".join(path.read_text(encoding="utf-8") for path in places)
    programs = [p.name for p in (project / "workflow/scripts").glob("*.py") if not p.name.startswith("_")]
    assert not [name for name in programs if name not in text]


def test_every_program_finds_the_library_by_itself(project: Path) -> None:
    for path in (project / "workflow/scripts").glob("[!_]*.py"):
        text = path.read_text(encoding="utf-8")
        assert 0 < text.find("import _library") < text.find("from ligero"), path.name


def test_splits_and_the_thesis_tables_are_named_in_one_place(project: Path) -> None:
    library = project / "workflow" / "ligero"
    texts = {str(p.relative_to(library)): p.read_text(encoding="utf-8") for p in library.rglob("*.py")}
    for words, place in (
        ('= ("train", "validation", "test")', "settings/tasks.py"),
        ('"resources" / "thesis"', "common/published.py"),
    ):
        assert [name for name, text in texts.items() if words in text] == [place]
