"""Check that requirements.lock can be installed with each supported Python, without installing anything.

Needs the package index (`make check-lock`), so it is no test. For each Python from 3.11 to 3.13, on this machine's platform:

- pip finds a wheel for every pin (a source archive only for the pure-Python packages in `SOURCE_ONLY`);
- what each package requires, by its own metadata, is in the lock at a version that satisfies it;
- every pin is in requirements.txt or required, directly or not, by something that is.

Of torch only its name is looked up, for the index may serve it with gigabytes of CUDA libraries; its requirements are those
of the installed one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.12", "3.13")
SOURCE_ONLY = ("connection_pool", "seqeval")
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")

Package = dict[str, Any]
"""Core metadata of a package, as pip reports it: `name`, `version`, `requires_python`, `requires_dist`."""


def pins(path: Path) -> dict[str, str]:
    """Canonical name -> line, for the lines NAME==VERSION of a requirements file."""
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return {canonicalize_name(line.partition("==")[0]): line for line in lines if line}


def resolved(python: str, lines: list[str]) -> list[Package]:
    """What pip would install of these pins with a Python, each on its own; exits where pip finds no wheel."""
    with tempfile.TemporaryDirectory() as folder:
        wanted, report = Path(folder, "pins.txt"), Path(folder, "report.json")
        wanted.write_text("\n".join(lines) + "\n", encoding="utf-8")
        command = [
            *PIP,
            "install",
            "--quiet",
            "--dry-run",
            "--ignore-installed",
            "--no-deps",
            "--python-version",
            python,
        ]
        command += ["--only-binary=:all:", "--no-binary", ",".join(SOURCE_ONLY), "--target", folder]
        done = subprocess.run(
            [*command, "--report", str(report), "-r", str(wanted)], stderr=subprocess.PIPE, text=True
        )
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            sys.exit("\n".join([f"Python {python}:", *errors]))
        return [entry["metadata"] for entry in json.loads(report.read_text(encoding="utf-8"))["install"]]


def torch_package(python: str, line: str) -> Package:
    """torch as it is installed here, if the index has a wheel of the pinned version for that Python."""
    command = [*PIP, "index", "versions", "torch", "--only-binary=:all:", "--python-version", python]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    _, _, listed = done.stdout.partition("Available versions:")
    version = line.partition("==")[2]
    if version not in listed.splitlines()[0].replace(" ", "").split(","):
        sys.exit(f"Python {python}: the index has no wheel of {line}")
    return {"name": "torch", "version": version, "requires_dist": metadata.requires("torch")}


def requirements(package: Package, python: str, extras: frozenset[str]) -> list[Requirement]:
    """What a package with these extras requires under a Python on this platform."""
    environment = default_environment() | {"python_version": python, "python_full_version": f"{python}.0"}

    def applies(marker: Marker | None) -> bool:
        return marker is None or any(
            marker.evaluate({**environment, "extra": extra}) for extra in ("", *extras)
        )

    found = [Requirement(text) for text in package.get("requires_dist") or ()]
    return [requirement for requirement in found if applies(requirement.marker)]


def problems(python: str, packages: list[Package], direct: set[str]) -> tuple[list[str], set[str]]:
    """What is wrong with the lock under a Python; and the packages that the direct requirements reach."""
    locked = {canonicalize_name(package["name"]): package for package in packages}
    wrong = [
        f"{name} needs Python {needed}"
        for name, package in locked.items()
        if (needed := package.get("requires_python")) and f"{python}.0" not in SpecifierSet(needed)
    ]
    waiting = [(name, frozenset[str]()) for name in direct]
    reached: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in reached or name not in locked:
            continue
        reached.add((name, extras))
        for needed in requirements(locked[name], python, extras):
            other = canonicalize_name(needed.name)
            if other not in locked:
                wrong.append(f"{name} requires {needed}, which is not locked")
            elif not needed.specifier.contains(locked[other]["version"], prereleases=True):
                wrong.append(f"{name} requires {needed}, but {locked[other]['version']} is locked")
            waiting.append((other, frozenset(needed.extras)))
    return sorted(set(wrong)), {name for name, _ in reached}


def main() -> None:
    lock = pins(PROJECT / "requirements.lock")
    direct = set(pins(PROJECT / "requirements.txt"))
    needless, failed = set(lock), False
    for python in PYTHONS:
        packages = resolved(python, [line for name, line in lock.items() if name != "torch"])
        packages.append(torch_package(python, lock["torch"]))
        wrong, reached = problems(python, packages, direct)
        needless -= reached
        failed |= bool(wrong)
        print(
            f"Python {python}: {len(packages)} packages found, {len(wrong)} problems",
            *wrong,
            sep="\n  ",
            flush=True,
        )
    if needless:
        print("locked, but nothing requires them:", ", ".join(sorted(needless)))
    sys.exit(bool(needless) or failed)


if __name__ == "__main__":
    main()
