"""Pretraining in several processes (gloo, on the CPU): replicated or sharded, it gives what one process gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.fsdp  # before the processes fork: it takes a second

from ligero.common.errors import ConfigurationError
from ligero.models.build import build_for_pretraining, make_config
from ligero.models.weights import read_weights
from ligero.pretraining.distributed import DistributedContext
from ligero.pretraining.engine import Pretrainer
from ligero.pretraining.mlm_objective import PretrainingObjective
from ligero.pretraining.sharding import shard
from ligero.settings.models import Architecture
from tests.builders.pretraining import Folders, lines, spoiled, train
from tests.builders.processes import SHARED, together
from tests.builders.states import LESSON, cached, make_toy

pytestmark = pytest.mark.slow

SMALL_BERT: dict[str, Any] = {
    "type": "bert",
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
FSDP = {"sharding": "fsdp"}


@pytest.fixture(scope="module")
def one(folders: Folders, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process gives."""
    place = tmp_path_factory.mktemp("one")
    assert train(folders, place, **SHARED)
    return place


def close(one: Path, many: Path) -> None:
    weights = read_weights(many / "out")
    expected = read_weights(one / "out")
    assert weights.keys() == expected.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(weights[name], weight, rtol=1e-3, atol=1e-5)
    for ours, theirs in zip(lines(one), lines(many), strict=True):
        assert ours.get("loss", 0) == pytest.approx(theirs.get("loss", 0), rel=1e-4)
        assert ours.get("gradient_norm", 0) == pytest.approx(theirs.get("gradient_norm", 0), rel=1e-3)
        assert ours.get("learning_rate") == theirs.get("learning_rate")


@pytest.mark.parametrize("world", [2, 3])
def test_several_processes_equal_one(folders: Folders, tmp_path: Path, one: Path, world: int) -> None:
    assert together(folders, tmp_path / "many", world) == [0] * world
    close(one, tmp_path / "many")


@pytest.mark.parametrize(
    ("kind", "optimizer", "world"), [("albert", "lamb", 2), ("albert", "lamb", 3), ("bert", "adamw", 2)]
)
def test_sharded_processes_equal_one(
    folders: Folders, tmp_path: Path, kind: str, optimizer: str, world: int
) -> None:
    """Of LAMB the norms are of whole tensors; three processes leave some of them without a row of a small matrix."""
    assert train(folders, tmp_path / "one", kind, optimizer=optimizer, **SHARED)
    assert together(folders, tmp_path / "many", world, kind, optimizer=optimizer, **FSDP) == [0] * world
    close(tmp_path / "one", tmp_path / "many")
    from transformers.models.albert.modeling_albert import AlbertForPreTraining
    from transformers.models.bert.modeling_bert import BertForMaskedLM

    model = (AlbertForPreTraining if kind == "albert" else BertForMaskedLM).from_pretrained(
        tmp_path / "many" / "out", output_loading_info=True
    )
    assert not model[1]["missing_keys"] and not model[1]["unexpected_keys"]


@pytest.mark.parametrize(("kind", "world"), [("albert", 2), ("bert", 2)])
def test_sharded_processes_in_bf16_equal_one(folders: Folders, tmp_path: Path, kind: str, world: int) -> None:
    """Weights are gathered in bf16, as autocast rounds them; norms and embeddings are rounded too, hence the tolerance."""
    half = {**SHARED, "precision": "bf16"}
    assert train(folders, tmp_path / "one", kind, **half)
    assert together(folders, tmp_path / "many", world, kind, **half, **FSDP) == [0] * world
    weights, expected = read_weights(tmp_path / "many" / "out"), read_weights(tmp_path / "one" / "out")
    for name, weight in expected.items():
        assert weights[name].dtype == torch.float32
        assert (weights[name] - weight).norm() <= 0.02 * weight.norm() + 1e-3, name
    for ours, theirs in zip(lines(tmp_path / "one"), lines(tmp_path / "many"), strict=True):
        assert ours.get("loss", 0) == pytest.approx(theirs.get("loss", 0), rel=5e-3)
        assert ours.get("gradient_norm", 0) == pytest.approx(theirs.get("gradient_norm", 0), rel=2e-2)


@pytest.mark.parametrize("sharding", ["none", "fsdp"])
def test_several_processes_learn_states_as_one_does(tmp_path: Path, sharding: str) -> None:
    """They count what they are taught together; a vocabulary head without a loss keeps no process waiting."""
    toy = make_toy(tmp_path / "toy")
    cached(toy)
    folders = (toy.states, toy.sources.tokenizer)
    values: dict[str, Any] = {**SHARED, "objective": "distil", "teacher": {**LESSON, "masked_weight": 0.0}}
    assert train(folders, tmp_path / "one", "bert", **values)
    assert together(folders, tmp_path / "many", 2, "bert", **values, sharding=sharding) == [0, 0]
    close(tmp_path / "one", tmp_path / "many")


@pytest.mark.parametrize("half", [False, True])
def test_only_weights_are_gathered_in_bf16(monkeypatch: pytest.MonkeyPatch, half: bool) -> None:
    found: list[Any] = []
    monkeypatch.setattr(torch.distributed.device_mesh, "init_device_mesh", lambda *_: None)
    monkeypatch.setattr(
        torch.distributed.fsdp, "fully_shard", lambda *_, **named: found.append(named["mp_policy"])
    )
    model = make_config(Architecture(**SMALL_BERT), 50)
    shard(PretrainingObjective(build_for_pretraining(model, "mlm")), torch.device("cpu"), 2, half)
    assert len(found) == 3  # two layers and the rest
    for policy in found:
        assert policy.param_dtype is (torch.bfloat16 if half else None)
        assert policy.reduce_dtype is torch.float32 and not policy.cast_forward_inputs


def _stop_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Ask for an end, as SIGTERM does, while `step` is computed."""
    compute = Pretrainer._step

    def stopping(self: Pretrainer, number: int, batch: Any) -> Any:
        self.interruption.requested = self.interruption.requested or number == step
        return compute(self, number, batch)

    monkeypatch.setattr(Pretrainer, "_step", stopping)


@pytest.mark.parametrize(("before", "after"), [(2, 3), (3, 1)])
def test_a_sharded_run_goes_on_with_any_number_of_processes(
    folders: Folders, tmp_path: Path, one: Path, monkeypatch: pytest.MonkeyPatch, before: int, after: int
) -> None:
    place = tmp_path / "many"
    with monkeypatch.context() as patch:
        _stop_at(patch, 4)
        assert together(folders, place, before, **FSDP) == [75] * before
    assert list((place / "state").glob("*/checkpoints/step-*5.pt"))
    assert together(folders, place, after, **FSDP) == [0] * after
    close(one, place)


@pytest.mark.parametrize("sharding", ["none", "fsdp"])
def test_several_processes_roll_back_together(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sharding: str
) -> None:
    values: dict[str, Any] = {
        "divergence": {"on_divergence": "rollback", "learning_rate_scale": 0.5},
        "sharding": sharding,
    }
    spoiled(monkeypatch, {4}, 2)  # each process forks with both spoiled steps before it
    assert together(folders, tmp_path / "many", 2, **values) == [0, 0]
    assert train(folders, tmp_path / "one", **SHARED, **values)
    summary = json.loads((tmp_path / "many" / "log" / "summary.json").read_text())
    assert [entry["to_step"] for entry in summary["rollbacks"]] == [3, 0]
    close(tmp_path / "one", tmp_path / "many")


def test_uneven_shares_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="3 processes"):
        DistributedContext(torch.device("cpu"), 0, 3).share(8, 4)


@pytest.mark.parametrize(("gpus", "processes", "expected"), [(1, 2, "cpu"), (2, 2, "cuda:1"), (0, 1, "cpu")])
def test_a_gpu_is_taken_only_where_each_process_can_have_one(
    monkeypatch: pytest.MonkeyPatch, gpus: int, processes: int, expected: str
) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
    monkeypatch.setenv("RANK", "5")  # on the third machine of two GPUs each
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    assert str(DistributedContext.from_environment().device) == expected
