"""What documentation names exists: paths of the architecture page, its programs, rules and packages; links everywhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ligero.reporting import registry
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


def pages(project: Path) -> list[Path]:
    return [*project.glob("*.md"), *project.glob("docs/*.md")]


def anchors(page: str) -> list[str]:
    """The names that GitHub gives the headings of a page: letters, digits and hyphens, in lower case."""
    headings = re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```", "", page, flags=re.DOTALL | re.MULTILINE), re.MULTILINE
    )
    return [re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings]


def test_links_lead_somewhere(project: Path) -> None:
    wrong = []
    for page in pages(project):
        for link in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            name, _, anchor = link.partition("#")
            target = page.parent / name if name else page
            if "://" not in link and not (
                target.exists() and (not anchor or anchor in anchors(target.read_text(encoding="utf-8")))
            ):
                wrong.append(f"{page.relative_to(project)}: {link}")
    assert wrong == []


def test_the_page_on_tables_names_every_table(project: Path) -> None:
    page = (project / "docs" / "reproduce-a-table.md").read_text(encoding="utf-8")
    named = {
        name for line in page.splitlines() if line.startswith("| `") for name in quoted(line.split("|")[1])
    }
    known = {entry.name for entry in (*registry.TABLES, registry.ABLATION)}
    assert {name.removesuffix(".csv") for name in named} == known | {registry.SUMMARY.name}


def test_every_picture_of_the_documentation_is_shown(project: Path) -> None:
    shown = " ".join(page.read_text(encoding="utf-8") for page in pages(project))
    pictures = [*project.glob("docs/*.png"), *project.glob("docs/*.svg")]
    assert len(pictures) >= 5
    assert [picture.name for picture in pictures if picture.name not in shown] == []
