"""The registry of sources: complete, consistent, and in agreement with the manifest of the shared data."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from ligero.settings.sources import Source
from ligero.settings.yaml_files import read_yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def registry() -> dict[str, Source]:
    sources = read_yaml(ROOT / "resources" / "sources.yaml")["sources"]
    return {source_id: Source(**entry) for source_id, entry in sources.items()}


def test_every_source_can_be_had_somehow_and_says_its_licence(registry: dict[str, Source]) -> None:
    for source_id, source in registry.items():
        in_a_mirror_only = source.sha256 is not None
        assert source.generated or source.url or source.archive or in_a_mirror_only, source_id
        assert source.licence, source_id
        assert source.generated or source.citation, source_id
        assert source.archive is None or registry[source.archive.source].url, source_id


def test_paths_are_unique(registry: dict[str, Source]) -> None:
    paths = [source.path for source in registry.values()]
    assert len(set(paths)) == len(paths)


@pytest.mark.parametrize(
    "data_set", ["mldoc", "pawsx-es", "xnli", "ud-ancora", "conll2002-es", "mlqa", "sqac", "squad-es"]
)
def test_the_thesis_tasks_are_complete(registry: dict[str, Source], data_set: str) -> None:
    test = "xquad-es" if data_set == "squad-es" else f"{data_set}-test"
    assert {f"{data_set}-train", f"{data_set}-dev", test} <= set(registry)


def test_checksums_are_those_of_the_manifest(registry: dict[str, Source], shared_data: Path) -> None:
    known = {source.path: source for source in registry.values()}
    with (shared_data / "MANIFEST.tsv").open(encoding="utf-8", newline="") as handle:
        rows = [row for row in csv.DictReader(handle, delimiter="\t") if "LICENSE" not in row["path"]]
    for row in rows:
        assert (known[row["path"]].sha256, known[row["path"]].bytes) == (row["sha256"], int(row["bytes"]))


@pytest.mark.parametrize(
    "address", ["/data/mine.txt", "mine.txt", "file:///data/mine.txt", "https:///mine.txt"]
)
@pytest.mark.parametrize("key", ["url", "alternatives"])
def test_what_is_not_published_has_no_address(key: str, address: str) -> None:
    with pytest.raises(ValueError, match=r"expected an http or https address; .*'mirror'"):
        Source.model_validate({"path": "d/mine.txt", key: address if key == "url" else [address]})


def test_fetching_imports_nothing_heavy() -> None:
    """Hundreds of jobs start this program; HTTP is imported only when a URL is used."""
    code = (
        "import sys; import fetch_source; "
        "print([m for m in ('httpx', 'torch', 'numpy', 'pyarrow', 'pandas', 'transformers') if m in sys.modules])"
    )
    paths = f"{ROOT / 'workflow'}:{ROOT / 'workflow' / 'scripts'}"
    found = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": paths}, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"
