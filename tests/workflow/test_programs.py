"""Programs as somebody starts them who has only cloned the project."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.imports import programs

pytestmark = pytest.mark.slow


def test_every_program_finds_the_library_from_a_plain_checkout(project: Path, tmp_path: Path) -> None:
    """Each import starts with nothing on the path but the program's own folder, as `python workflow/scripts/NAME.py` does."""
    names = [path.stem for path in programs()]
    code = f"""
import importlib, sys
for name in {names}:
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
