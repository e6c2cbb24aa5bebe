"""What `.venv/bin/ligero` starts: the command line of the project."""

from __future__ import annotations

import _library  # noqa: F401
from ligero.command.main import main
from ligero.common.errors import run_program

if __name__ == "__main__":
    run_program(main)
