"""What unit tests share: a user's file, a study and its results, a token store, a run of pretraining, a server that misbehaves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ligero.reporting.results import Results
    from ligero.settings.study import Study
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


@pytest.fixture
def news(tmp_path: Path) -> Path:
    """200 generated texts of four topics."""
    from ligero.synthetic.table import labelled_texts
    from tests.builders.user_files import table

    return table(tmp_path / "noticias.csv", labelled_texts(1, 200))


@pytest.fixture(scope="session")
def study(project: Path) -> Study:
    """The default study."""
    from ligero.settings.load import load_study
    from ligero.settings.yaml_files import read_yaml

    return load_study(read_yaml(project / "config.yaml"), project)


@pytest.fixture(scope="session")
def results(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """The default study with made-up figures; tests must not change it."""
    from ligero.reporting.results import Results
    from tests.builders.results import write_artefacts

    root = tmp_path_factory.mktemp("results")
    write_artefacts(study, root)
    return Results(study, root)


@pytest.fixture(scope="session")
def published(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """The thesis' configuration with the thesis' own figures; tests must not change it."""
    from ligero.settings.load import load_study
    from ligero.settings.yaml_files import read_yaml
    from tests.builders.published_results import published_results

    thesis = load_study(read_yaml(project / "config" / "thesis.yaml"), project)
    return published_results(thesis, tmp_path_factory.mktemp("thesis"))
