"""What all tests share: the project's folder, the real Spanish data where it is there, a small study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def project() -> Path:
    """The project's folder."""
    return PROJECT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real Spanish data; tests that need it are skipped where it is absent."""
    folder = PROJECT.parent / "shared" / "data"
    if not (folder / "MANIFEST.tsv").exists():
        pytest.skip(f"real Spanish data is not at {folder}")
    return folder


@pytest.fixture
def default_config() -> dict[str, Any]:
    """The default study as plain values, free to be changed."""
    config: dict[str, Any] = yaml.safe_load((PROJECT / "config.yaml").read_text(encoding="utf-8"))
    return config
