"""What the tests of pretraining share: a token store and an uninterrupted run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.builders.pretraining import STEPS, Folders, train, write_store


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """A tiny token store and its vocabulary."""
    torch.set_num_threads(1)
    return write_store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def whole(folders: Folders, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run on one process."""
    place = tmp_path_factory.mktemp("whole")
    assert train(folders, place, total_steps=STEPS)
    return place
