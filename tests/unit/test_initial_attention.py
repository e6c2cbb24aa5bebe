"""Attention that begins with neighbours, and ALBERT that begins shallow."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from ligero.models.architectures import encoder_of
from ligero.models.build import build_for_pretraining, make_config
from ligero.models.initial_attention import move_positions_apart
from ligero.pretraining.engine import Pretrainer
from ligero.settings.models import Architecture, Model
from ligero.settings.pretraining import Pretraining
from tests.builders.pretraining import CPU, Folders, prepared, recipe, same, train

LENGTH = 40


def attention(kind: str, initial: Any, width: int = 64, apart: bool = False) -> Tensor:
    """The last layer's attention of a fresh model to the embeddings of random tokens, [B, heads, LENGTH, LENGTH].

    `apart`: positions have dimensions of their own.
    """
    architecture = Architecture(
        type=kind, hidden_size=width, num_hidden_layers=2, num_attention_heads=4, intermediate_size=32,
        embedding_size=32 if kind == "albert" else None, max_position_embeddings=LENGTH + 8, dropout=0.0,
    )  # fmt: skip
    model = build_for_pretraining(make_config(architecture, 500, 0), None, 1, 0.1, initial).eval()
    encoder: Any = encoder_of(model)
    with torch.no_grad():
        if apart:
            encoder.embeddings.word_embeddings.weight[:, : move_positions_apart(model, 0.1)] = 0.0
        ids = torch.randint(5, 500, (8, LENGTH), generator=torch.Generator().manual_seed(3))
        hidden = encoder.embeddings(ids)
        if kind == "albert":
            hidden = encoder.encoder.embedding_hidden_mapping_in(hidden)
        # By the last part of their names, of the last layer: its attention to what comes from the embeddings.
        projections: dict[str, nn.Linear] = {n.rpartition(".")[2]: m for n, m in encoder.named_modules()}
        query, key = (
            projections[one if one in projections else other](hidden)
            .view(8, LENGTH, 4, width // 4)
            .transpose(1, 2)
            for one, other in (("query", "q_lin"), ("key", "k_lin"))
        )
        return torch.softmax(query @ key.transpose(2, 3) / math.sqrt(width // 4), dim=-1)


@pytest.mark.parametrize("kind", ["albert", "bert", "roberta", "distilbert"])
def test_heads_begin_with_the_token_before_and_after(kind: str) -> None:
    found = attention(kind, "neighbours")
    at = {offset: found.diagonal(offset, 2, 3).mean((0, 2)) for offset in range(-5, 6)}
    for head, offset in ((0, -1), (1, 1)):
        assert max(at, key=lambda other: float(at[other][head])) == offset
        assert at[offset][head] > 4 / LENGTH
    assert found[:, 2:].max() < 4 / LENGTH, "the other heads are spread"
    assert attention(kind, "spread").max() < 4 / LENGTH


@pytest.mark.parametrize("kind", ["albert", "bert"])
def test_heads_look_beside_where_positions_are_apart_and_no_larger_than_words(kind: str) -> None:
    at = attention(kind, "neighbours", apart=True)
    assert at[:, 0].diagonal(-1, 1, 2).mean() > 0.2 and at[:, 1].diagonal(1, 1, 2).mean() > 0.2


def test_positions_apart_are_as_large_as_words() -> None:
    shape = Architecture(
        type="albert", hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=32,
        embedding_size=128, max_position_embeddings=64, dropout=0.0,
    )  # fmt: skip
    model = build_for_pretraining(make_config(shape, 50, 0), None, 1, 0.5, "neighbours")
    # 100 ** (-i / 64) >= 0.36 for i up to 14: 15 waves of two dimensions.
    assert move_positions_apart(model, 0.5) == 30
    weight = encoder_of(model).embeddings.position_embeddings.weight.detach()  # type: ignore[union-attr]
    assert not weight[:, 30:].any()
    assert weight.square().sum(1).mean() == pytest.approx(98 * 0.25, rel=1e-4)


def test_wide_heads_look_no_further() -> None:
    at = attention("bert", "neighbours", 256)[:, 0]
    assert at.diagonal(-1, 1, 2).mean() > 0.15
    assert sum(at.diagonal(offset, 1, 2).mean() for offset in range(-20, -5)) < 0.3


def test_the_first_steps_compute_fewer_layers(folders: Folders, tmp_path: Path) -> None:
    run = prepared(folders, total_steps=6, shallow_steps=4, shallow_layers=1, validate_every=100)
    trainer = Pretrainer(run.model, run.job.recipe, run.source, None, tmp_path, CPU)
    calls: list[int] = []
    layer = encoder_of(trainer.model).encoder.albert_layer_groups[0].albert_layers[0]  # type: ignore[union-attr, index]
    layer.register_forward_hook(lambda *_: calls.append(trainer.done.step))  # type: ignore[operator]
    assert trainer.run()
    micro_batches = run.job.recipe.batch_size // run.job.recipe.micro_batch_size
    assert [calls.count(step) // micro_batches for step in range(6)] == [1, 1, 1, 1, 2, 2]
    assert trainer.model.config.num_hidden_layers == 2  # type: ignore[union-attr]
    # Divergence is watched for anew: the deep model's losses are not compared with the shallow one's.
    assert trainer.watch.steps == 2


@pytest.mark.parametrize("stop", [2, 5])
def test_a_shallow_beginning_is_resumed(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    """Killed while shallow, and after it."""
    shallow = {"shallow_steps": 4, "shallow_layers": 1, "checkpoint_every": 1}
    assert train(folders, tmp_path / "whole", **shallow)
    step = Pretrainer._step

    def killed(self: Pretrainer, number: int, batch: Any) -> Any:
        if number == stop:
            raise KeyboardInterrupt
        return step(self, number, batch)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Pretrainer, "_step", killed)
        train(folders, tmp_path / "parts", **shallow)
    assert train(folders, tmp_path / "parts", **shallow)
    assert same(tmp_path / "whole", tmp_path / "parts")


def test_shallow_steps_are_for_deep_albert() -> None:
    with pytest.raises(ValidationError, match="shallow_steps 8 must be below total_steps 8"):
        recipe(shallow_steps=8)

    def model(kind: str, layers: int, pretraining: Pretraining) -> Model:
        values = {
            "type": kind,
            "hidden_size": 8,
            "num_hidden_layers": layers,
            "num_attention_heads": 2,
            "intermediate_size": 8,
        }
        return Model(
            name="m", architecture=values, weights="pretrain", tokenizer="t", pretraining=pretraining
        )

    shallow = recipe(objective="mlm", shallow_steps=4)
    assert model("albert", 4, shallow)
    with pytest.raises(ValidationError, match="shallow_layers 3 must be below num_hidden_layers 3"):
        model("albert", 3, shallow)
    with pytest.raises(ValidationError, match="shallow_steps is for ALBERT"):
        model("bert", 4, shallow)
