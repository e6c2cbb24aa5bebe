"""Pinned packages: of the project, of the lock file, of each stage's environment, and which of them nothing imports."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tests.imports import PROJECT, imports_of, needed_by, normalized, python_files, third_party

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


def imported(project: Path = PROJECT) -> set[str]:
    """Distributions that some file of the project imports."""
    files = python_files("workflow", "tests", "benchmarks", project=project)
    return third_party((entry.module for path in files for entry in imports_of(path)), project) - BROUGHT


def imported_in(environment: str, project: Path = PROJECT) -> set[str]:
    """Distributions that the rules of an environment import."""
    started = stages(project).get(environment, set())
    programs = [project / "workflow/scripts" / name for name in started if name.endswith(".py")]
    modules = {name for name in started if not name.endswith(".py")}
    return needed_by(programs, project) | third_party(modules, project)


def unused(project: Path = PROJECT) -> list[str]:
    """FILE: PACKAGE for every pin of requirements.txt and of an environment that nothing imports and no tool needs."""
    direct = pins((project / "requirements.txt").read_text(encoding="utf-8"))
    found = [f"requirements.txt: {name}" for name in sorted(direct.keys() - imported(project) - TOOLS.keys())]
    for environment, held in environments(project).items():
        needless = held.keys() - imported_in(environment, project)
        found += [f"envs/{environment}.yaml: {name}" for name in sorted(needless)]
    return found
