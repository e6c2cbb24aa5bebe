"""What unit tests share: a token store, an uninterrupted run of pretraining, a server that misbehaves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.builders.pretraining import Folders
    from tests.builders.scripted_server import Server


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """A tiny token store and its vocabulary."""
    import torch

    from tests.builders.pretraining import write_store

    torch.set_num_threads(1)
    return write_store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def whole(folders: Folders, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run on one process."""
    from tests.builders.pretraining import STEPS, train

    place = tmp_path_factory.mktemp("whole")
    assert train(folders, place, total_steps=STEPS)
    return place


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that gives the file whole, until a test scripts something else."""
    from tests.builders.scripted_server import Server

    running = Server()
    yield running
    running.http.shutdown()
    running.http.server_close()
