"""Weights of others: old files converted, folders copied and checked, no code ever loaded."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from ligero.common.errors import DataError
from ligero.models.conversion import convert_old_weights, prepare_weights
from ligero.models.heads import load_for_task, read_weights
from ligero.models.hub import HubError
from ligero.settings.jobs import WeightsJob
from ligero.settings.models import HubModel
from ligero.sources.checksums import SourcesLock
from tests.builders.published_layouts import architecture, beto


@pytest.fixture
def old_model(tmp_path: Path) -> Path:
    """A folder with an encoder alone in pytorch_model.bin, its norms named as in TensorFlow."""
    folder = beto(tmp_path / "old", tokenizer_config={"do_lower_case": True, "strip_accents": False})
    weights = torch.load(folder / "pytorch_model.bin", weights_only=True)
    torch.save(
        {name.removeprefix("bert."): value for name, value in weights.items() if name.startswith("bert.")},
        folder / "pytorch_model.bin",
    )
    return folder


def local(folder: Path) -> WeightsJob:
    return WeightsJob(
        model_id="m",
        architecture=architecture("bert"),
        weights="local",
        hub=None,
        local=str(folder),
        lower_case=None,
    )


def test_local_folder_with_old_weights(old_model: Path, tmp_path: Path) -> None:
    prepare_weights(local(old_model), tmp_path / "out", tmp_path / "hub", SourcesLock(tmp_path / "lock.json"))
    assert not (tmp_path / "out" / "pytorch_model.bin").exists()
    stored = read_weights(tmp_path / "out")
    model = load_for_task(tmp_path / "out", "token_classification", ["a", "b"])
    weights = model.state_dict()
    assert torch.equal(
        weights["bert.encoder.layer.1.output.LayerNorm.weight"],
        stored["encoder.layer.1.output.LayerNorm.weight"],
    )
    del stored["embeddings.position_ids"]  # a constant of the architecture that old files hold
    assert all(torch.equal(weights[f"bert.{name}"], value) for name, value in stored.items())


def test_a_pickle_with_code_is_not_loaded(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path(tmp_path / "ran").touch, ())

    with (tmp_path / "pytorch_model.bin").open("wb") as handle:
        pickle.dump({"a": Evil()}, handle)
    with pytest.raises(DataError, match="more than tensors"):
        convert_old_weights(tmp_path / "pytorch_model.bin", tmp_path / "model.safetensors")
    assert not (tmp_path / "ran").exists() and not (tmp_path / "model.safetensors").exists()


def test_folders_that_are_no_models_are_refused(old_model: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        prepare_weights(
            local(tmp_path / "nothing"),
            tmp_path / "out",
            tmp_path / "hub",
            SourcesLock(tmp_path / "lock.json"),
        )
    (old_model / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(DataError, match="gpt2"):
        prepare_weights(
            local(old_model), tmp_path / "out", tmp_path / "hub", SourcesLock(tmp_path / "lock.json")
        )
    (old_model / "pytorch_model.bin").unlink()
    with pytest.raises(DataError, match="neither"):
        prepare_weights(
            local(old_model), tmp_path / "out", tmp_path / "hub", SourcesLock(tmp_path / "lock.json")
        )
    assert not (tmp_path / "out").exists()


def test_hub_tries_older_names_and_records_the_commit(
    old_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def download(name: str, revision: str, cache_dir: Path, allow_patterns: list[str]) -> str:
        asked.append((name, "pytorch_model.bin" in allow_patterns))
        if name == "new/name":
            raise OSError("404")
        return str(old_model)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    hub = HubModel(id="new/name", aliases=("old/name",), revision="abc")
    job = WeightsJob(
        model_id="m", architecture=architecture("bert"), weights="hub", hub=hub, local=None, lower_case=None
    )
    source = prepare_weights(job, tmp_path / "out", tmp_path / "hub", SourcesLock(tmp_path / "lock.json"))
    assert source == {"hub": "old/name", "requested": "abc", "revision": "old"}
    assert asked == [("new/name", False), ("old/name", False), ("old/name", True)]
    monkeypatch.setattr(
        "huggingface_hub.snapshot_download", lambda *a, **k: download("new/name", "", tmp_path, [])
    )
    with pytest.raises(HubError, match="new/name: 404"):
        prepare_weights(job, tmp_path / "out2", tmp_path / "hub", SourcesLock(tmp_path / "lock.json"))
