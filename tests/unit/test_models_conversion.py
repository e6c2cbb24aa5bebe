"""Weights of others: old files converted, folders copied and checked, no code ever loaded."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from ligero.common.errors import ConfigurationError, DataError, LigeroError, MismatchError
from ligero.models.conversion import convert_old_weights, prepare_weights
from ligero.models.digests import write_weights_digest
from ligero.models.heads import load_for_task, load_selected, save_for_task
from ligero.models.hub import HubError
from ligero.models.weights import read_weights
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


def new_model(folder: Path, **changes: Any) -> Path:
    """A model and its vocabulary as transformers saves them; `changes` of what config.json says."""
    beto(folder, tokenizer_config={"do_lower_case": True, "strip_accents": False})
    weights = torch.load(folder / "pytorch_model.bin", weights_only=True)
    (folder / "pytorch_model.bin").unlink()
    plain = {
        name.replace("gamma", "weight").replace("beta", "bias"): value
        for name, value in weights.items()
        if name.startswith("bert.") and "position_ids" not in name
    }
    save_file(plain, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))
    return folder


def prepared(folder: Path) -> dict[str, Any]:
    lock = SourcesLock(folder.parent / "lock.json")
    return prepare_weights(local(folder), folder.parent / "out", folder.parent / "hub", lock)


def change_weights(
    folder: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]
) -> None:
    save_file(change(load_file(folder / "model.safetensors")), folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize("family", ["bert", "distilbert"])
def test_a_configured_dropout_replaces_the_checkpoints(
    tmp_path: Path, family: Literal["bert", "distilbert"]
) -> None:
    folder = beto(tmp_path / "m", tokenizer_config={"do_lower_case": True}, family=family)
    job = local(folder).model_copy(
        update={"architecture": architecture(family).model_copy(update={"dropout": 0.3})}
    )
    prepare_weights(job, tmp_path / "out", tmp_path / "hub", SourcesLock(tmp_path / "lock.json"))
    model = load_for_task(tmp_path / "out", "token_classification", ["a", "b"])
    found = {module.p for module in model.base_model.modules() if isinstance(module, nn.Dropout)}
    assert found == {0.3}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "hidden_act",
            "relu",
            "hidden_act: configured relu, the checkpoint has gelu; leave the key out",
        ),
        ("type_vocab_size", 3, "type_vocab_size: configured 3, the checkpoint has 2"),
    ],
)
def test_an_architecture_that_the_checkpoint_has_not_is_refused(
    tmp_path: Path, key: str, value: str | int, message: str
) -> None:
    folder = new_model(tmp_path / "m")
    job = local(folder).model_copy(
        update={"architecture": architecture("bert").model_copy(update={key: value})}
    )
    with pytest.raises(ConfigurationError, match=message):
        prepare_weights(job, tmp_path / "out", tmp_path / "hub", SourcesLock(tmp_path / "lock.json"))


@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_are_trained_in_fp32_whatever_they_were_stored_in(
    tmp_path: Path, stored: torch.dtype
) -> None:
    folder = new_model(tmp_path / "half", dtype=str(stored).removeprefix("torch."))
    change_weights(folder, lambda weights: {name: value.to(stored) for name, value in weights.items()})
    prepared(folder)
    assert {value.dtype for value in load_file(tmp_path / "out" / "model.safetensors").values()} == {stored}
    model = load_for_task(tmp_path / "out", "token_classification", ["a", "b"])
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    save_for_task(model, tmp_path / "saved", ["a", "b"])
    assert json.loads((tmp_path / "saved" / "config.json").read_text())["dtype"] == "float32"
    kinds = {value.dtype for value in load_file(tmp_path / "saved" / "model.safetensors").values()}
    assert kinds == {torch.float32}
    (tmp_path / "saved" / "config.json").write_text(
        (tmp_path / "saved" / "config.json").read_text().replace("float32", "float16")
    )
    write_weights_digest(tmp_path / "saved")
    teacher = load_selected(tmp_path / "saved", "token_classification")
    assert {parameter.dtype for parameter in teacher.parameters()} == {torch.float32}


@pytest.mark.parametrize("labels", [2, 5])
def test_the_head_of_another_task_is_not_taken_even_where_it_fits(
    tmp_path: Path, labels: int, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = new_model(tmp_path / "tuned")
    head = {"classifier.weight": torch.ones(labels, 16), "classifier.bias": torch.ones(labels)}
    change_weights(folder, lambda weights: weights | head)
    source = prepared(folder)
    assert source.unused_task_head == ("classifier.bias", "classifier.weight")
    assert "every task starts with a new task head, initialised from the seed" in capsys.readouterr().err
    model = load_for_task(tmp_path / "out", "token_classification", ["a", "b"], seed=4)
    plain = load_for_task(new_model(tmp_path / "plain"), "token_classification", ["a", "b"], seed=4)
    assert model.config.initialized_weights == ["classifier.bias", "classifier.weight"]
    assert torch.equal(model.classifier.weight, plain.classifier.weight)


def test_a_vocabulary_larger_than_the_embedding_is_refused(tmp_path: Path) -> None:
    folder = new_model(tmp_path / "m")
    rows = json.loads((folder / "config.json").read_text())["vocab_size"]
    with (folder / "vocab.txt").open("a", encoding="utf-8") as handle:
        handle.write("uno\ndos\n")
    with pytest.raises(
        MismatchError, match=rf"models.m: .*/m: the tokenizer has {rows + 2} .* {rows} rows.*resize_token"
    ):
        prepared(folder)
    assert not (tmp_path / "out").exists()


def test_shards_are_put_together_and_a_missing_one_is_named(tmp_path: Path) -> None:
    folder = new_model(tmp_path / "m")
    whole = load_file(folder / "model.safetensors")
    names = sorted(whole)
    shards = {"model-00001-of-00002.safetensors": names[:9], "model-00002-of-00002.safetensors": names[9:]}
    for shard, held in shards.items():
        save_file({name: whole[name] for name in held}, folder / shard, {"format": "pt"})
    placed = {name: shard for shard, held in shards.items() for name in held}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": placed}))
    (folder / "model.safetensors").unlink()
    prepared(folder)
    made = load_file(tmp_path / "out" / "model.safetensors")
    assert made.keys() == whole.keys() and all(torch.equal(made[name], whole[name]) for name in whole)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(
        DataError, match=r"m/model\.safetensors\.index\.json: names 2 .* 1 are not here: model-00002"
    ):
        prepared(folder)


def truncate(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def point(folder: Path) -> None:
    (folder / "model.safetensors").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n"
    )


def point_vocabulary(folder: Path) -> None:
    (folder / "vocab.txt").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n")


def adapt(folder: Path) -> None:
    (folder / "config.json").rename(folder / "adapter_config.json")


def quantise(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": {"bits": 4}}))


def widen(folder: Path) -> None:
    change_weights(
        folder, lambda weights: weights | {"bert.embeddings.word_embeddings.weight": torch.rand(9, 16)}
    )


def spoil(folder: Path) -> None:
    name = "bert.embeddings.word_embeddings.weight"
    change_weights(folder, lambda weights: weights | {name: torch.full_like(weights[name], torch.nan)})


OUTPUT, WORDS = "bert.encoder.layer.0.output.dense.weight", "bert.embeddings.word_embeddings.weight"


def lose(folder: Path) -> None:
    change_weights(folder, lambda weights: weights | {OUTPUT: torch.zeros_like(weights[OUTPUT])})


def round_off(folder: Path) -> None:
    change_weights(folder, lambda weights: weights | {OUTPUT: weights[OUTPUT].mul(9e3).to(torch.int8)})


def say(**changes: object) -> Callable[[Path], None]:
    """Change config.json."""

    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def forget_vocabulary(folder: Path) -> None:
    (folder / "vocab.txt").unlink()


def cut_vocabulary(folder: Path) -> None:
    tokens = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "vocab.txt").write_text("".join(tokens[:5]), encoding="utf-8")
    change_weights(folder, lambda weights: weights | {WORDS: torch.rand(200, 16)})
    say(vocab_size=200)(folder)


def take_other_vocabulary(folder: Path) -> None:
    from transformers import AutoTokenizer

    tokens = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    AutoTokenizer.from_pretrained(folder).save_pretrained(folder)  # type: ignore[no-untyped-call]
    others = [*tokens[:50], *tokens[:49:-1]]
    (folder / "vocab.txt").write_text("\n".join(others) + "\n", encoding="utf-8")


def spoil_the_vocabulary_beside_a_tokenizer(folder: Path) -> None:
    take_other_vocabulary(folder)
    (folder / "vocab.txt").write_bytes("[PAD]\nseñor\n".encode("latin1"))


def only_tensorflow(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "tf_model.h5")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate, r"m/model\.safetensors: not a readable safetensors file .*truncated"),
        (point, r"m/model\.safetensors: is a Git LFS pointer.*git lfs pull"),
        (point_vocabulary, r"m/vocab\.txt: is a Git LFS pointer"),
        (adapt, r"m: is an adapter \(PEFT\), not a model.*merge_and_unload"),
        (quantise, r"m/config\.json: the weights are quantised"),
        (
            widen,
            r"m: weights and config\.json do not belong together: bert\.embeddings\.word_embeddings\.weight is \[9, 16\]",
        ),
        (spoil, r"m: weights that are not finite: bert\.embeddings\.word"),
        (lose, r"m: weights that are one value throughout: bert\.encoder\.layer\.0\.output\.dense\.weight"),
        (round_off, r"m: weights that are whole numbers: bert\.encoder\.layer\.0\.output"),
        (say(is_decoder=True), r"m/config\.json: is_decoder is true"),
        (say(hidden_act="nothing"), r"m/config\.json: no model can be made of it: KeyError\('nothing'\)"),
        (
            forget_vocabulary,
            r"m: it has none of the files that hold a tokenizer's tokens: tokenizer\.json, vocab\.txt",
        ),
        (cut_vocabulary, r"m: the tokenizer has 6 tokens, the model's embedding 200 rows\..*missing"),
        (take_other_vocabulary, r"m: token '.*' is number 50 in vocab\.txt and \d+ in the tokenizer"),
        (spoil_the_vocabulary_beside_a_tokenizer, r"m/vocab\.txt:2: not UTF-8: .*iconv -f latin1"),
        (only_tensorflow, r"m: neither model\.safetensors nor pytorch_model\.bin is here, only tf_model\.h5"),
    ],
)
def test_what_cannot_work_is_refused_by_the_users_name(
    tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    folder = new_model(tmp_path / "m")
    damage(folder)
    with pytest.raises(LigeroError, match=message) as caught:
        prepared(folder)
    assert "/.out." not in str(caught.value), "no file that the program makes on its way"
    assert not (tmp_path / "out").exists()


def test_hub_tries_older_names_and_records_the_commit(
    old_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    snapshot = tmp_path / "hub/snapshots/old"
    shutil.copytree(old_model, snapshot)
    (tmp_path / "hub/trees").mkdir()
    (tmp_path / "hub/trees/old.json").write_text("{}")

    def download(name: str, revision: str, cache_dir: Path, allow_patterns: list[str]) -> str:
        asked.append((name, "pytorch_model.bin" in allow_patterns))
        if name == "new/name":
            raise OSError("404")
        return str(snapshot)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    hub = HubModel(id="new/name", aliases=("old/name",), revision="abc")
    job = WeightsJob(
        model_id="m", architecture=architecture("bert"), weights="hub", hub=hub, local=None, lower_case=None
    )
    source = prepare_weights(job, tmp_path / "out", tmp_path / "hub", SourcesLock(tmp_path / "lock.json"))
    assert (source.hub, source.requested, source.revision) == ("old/name", "abc", "old")
    assert asked == [("new/name", False), ("old/name", False), ("old/name", True)]
    monkeypatch.setattr(
        "huggingface_hub.snapshot_download", lambda *a, **k: download("new/name", "", tmp_path, [])
    )
    with pytest.raises(HubError, match="new/name: 404"):
        prepare_weights(job, tmp_path / "out2", tmp_path / "hub", SourcesLock(tmp_path / "lock.json"))
