"""The house: imports go down only, files stay short, environments carry the lock file's pins."""

from __future__ import annotations

import ast
from pathlib import Path

# From the ground up; a floor may import from lower ones and, within a storey, from no neighbour.
STOREYS = (
    {"common"},
    {"settings"},
    {"sources", "synthetic"},
    {"corpus", "tokenizers"},
    {"tasks"},
    {"models"},
    {"training"},
    {"pretraining", "distillation"},
    {"efficiency"},
    {"reporting"},
)
# A token store is made by encoding a corpus with a vocabulary, and a vocabulary is trained on a corpus.
NEIGHBOURS = {("corpus", "tokenizers"), ("tokenizers", "corpus")}


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
        if storey(other) >= storey(package) and (package, other) not in NEIGHBOURS
    ]
    assert not wrong, "\n".join(wrong)


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
    by_make = {"bench_data.py", "bench_pretraining.py", "bench_distillation.py"}
    assert not [name for name in programs if name not in text and name not in by_make]


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
