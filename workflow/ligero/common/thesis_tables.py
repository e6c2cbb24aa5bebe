"""Where the thesis' tables are."""

from __future__ import annotations

from pathlib import Path

THESIS_TABLES = Path(__file__).resolve().parents[3] / "resources" / "thesis"
"""Folder of the thesis' tables as CSV, every cell as printed."""
