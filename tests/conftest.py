"""What all tests share: the project's folder, the real Spanish data where it is there, a small study."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import settings

PROJECT = Path(__file__).parents[1]

# A busy machine is no mistake: no test asserts on absolute time.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


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
    aliased = yaml.safe_load((PROJECT / "config.yaml").read_text(encoding="utf-8"))
    config: dict[str, Any] = json.loads(json.dumps(aliased))  # a copy of each anchor's value at each alias
    return config


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file first, so that one worker runs it while the other runs the rest."""
    items.sort(key=lambda item: item.path.name != "test_pocket_study.py")
