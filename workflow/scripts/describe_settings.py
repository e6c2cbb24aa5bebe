"""Write the configuration's JSON schema and its page in the documentation from the settings models."""

from __future__ import annotations

import argparse
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import run_program
from ligero.common.files import write_text
from ligero.settings.describe import json_schema, reference_page

PROJECT = Path(__file__).parents[2]


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    write_text(PROJECT / "workflow" / "schemas" / "config.schema.json", json_schema())
    write_text(PROJECT / "docs" / "configuration.md", reference_page())


if __name__ == "__main__":
    run_program(main)
