"""What documentation names exists: paths of the architecture page, its programs, rules and packages; links everywhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.imports import package_graph, programs

PLACEHOLDER = re.compile(r"\b(RESULTS|MODEL|STAGE|VERB_THING|FORMAT|NAME|RULE)\b")


@pytest.fixture(scope="module")
def architecture() -> str:
    return Path(__file__, "../../../docs/architecture.md").resolve().read_text(encoding="utf-8")


def quoted(text: str) -> list[str]:
    """What is in backquotes."""
    return re.findall(r"`([^`]+)`", text)


def test_paths_of_the_architecture_page_exist(project: Path, architecture: str) -> None:
    paths = [
        found
        for found in quoted(architecture)
        if re.fullmatch(r"[\w.-]*(/[\w.-]*)+|[\w-]+\.smk", found) and not PLACEHOLDER.search(found)
    ]
    places = [project, project / "workflow" / "ligero", project / "rules"]
    assert len(paths) > 60
    assert [path for path in paths if not any((place / path).exists() for place in places)] == []


def test_the_architecture_page_names_every_stage_and_every_package(project: Path, architecture: str) -> None:
    named = set(quoted(architecture))
    stages = {path.name for path in project.glob("rules/*.smk")} - {"common.smk"}
    assert stages - named == set()
    packages = re.search(r"`(command > [^`]+)`", architecture)
    assert packages is not None
    assert set(re.findall(r"\w+", packages[1])) == set(package_graph())
    drawing = (project / "docs" / "architecture.svg").read_text(encoding="utf-8")
    assert [package for package in package_graph() if not re.search(rf"\b{package}\b", drawing)] == []


def test_programs_of_the_architecture_page_exist(architecture: str) -> None:
    stages = architecture.split("| stage |")[1].split("\n\n")[0]
    column = " ".join(line.split("|")[3] for line in stages.splitlines()[2:])
    named = quoted(column)
    assert len(named) > 25
    assert set(named) - {path.stem for path in programs()} == set()


def test_links_lead_somewhere(project: Path) -> None:
    wrong = [
        f"{page.relative_to(project)}: {link}"
        for page in [*project.glob("*.md"), *project.glob("docs/*.md")]
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
        if "://" not in link and not (page.parent / link).exists()
    ]
    assert wrong == []
