"""Relation distillation: the formula, padding, and what it is for, on models of every attention layout."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ligero.common.errors import LigeroError
from ligero.distillation import relations
from ligero.distillation.cached_objectives import with_relations
from ligero.distillation.digests import tokens_digest
from ligero.distillation.objective import DistillationObjective
from ligero.distillation.relations import (
    AttentionProbe,
    RelationObjective,
    mapped_layers,
    relation_heads,
    relation_loss,
)
from ligero.models.architectures import config_class, model_class
from ligero.settings.jobs import StudentLearning
from ligero.training.features import Batch
from ligero.training.objective import GoldObjective
from tests.builders.distillation import VOCABULARY, curve, targets_of, toy_meta, toy_model, toy_split
from tests.builders.encoding import task


def test_the_loss_is_the_divergence_of_scaled_dot_product_softmaxes() -> None:
    ours, theirs = torch.randn(1, 2, 4, generator=torch.manual_seed(0)), torch.randn(1, 2, 6)
    expected = 0.0
    for head in range(2):
        for row in range(2):
            distributions = []
            for x, width in ((theirs, 3), (ours, 2)):
                part = x[0, :, head * width : (head + 1) * width]
                scores = [math.exp(float(part[row] @ part[column]) / math.sqrt(width)) for column in range(2)]
                distributions.append([score / sum(scores) for score in scores])
            expected += sum(p * math.log(p / q) for p, q in zip(*distributions, strict=True)) / 4
    loss = relation_loss(ours, theirs, torch.ones(1, 2, dtype=torch.bool), 2)
    assert loss.item() == pytest.approx(expected, rel=1e-4)


def test_padding_changes_nothing_and_gradients_stay_finite() -> None:
    ours, theirs = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    padded = [torch.cat([x, torch.full((2, 2, 4), 9.0)], dim=1).requires_grad_() for x in (ours, theirs)]
    mask = torch.tensor([[True] * 3 + [False] * 2] * 2)
    loss = relation_loss(padded[0], padded[1], mask, 2)
    assert loss.item() == pytest.approx(relation_loss(ours, theirs, mask[:, :3], 2).item(), rel=1e-5)
    loss.backward()
    assert torch.isfinite(padded[0].grad).all() and padded[1].grad is None


def test_heads_divide_both_widths_and_layers_are_spread() -> None:
    assert relation_heads(312, 768, 12) == 12
    assert relation_heads(312, 1024, 16) == 8
    assert mapped_layers(4, 12) == [3, 6, 9, 12]
    assert mapped_layers(2, 3) == [2, 3]


@pytest.mark.parametrize(
    ("kind", "last_query"),
    [
        ("albert", "albert.encoder.albert_layer_groups.0.albert_layers.0.attention.query"),
        ("bert", "bert.encoder.layer.1.attention.self.query"),
        ("distilbert", "distilbert.transformer.layer.1.attention.q_lin"),
        ("roberta", "roberta.encoder.layer.1.attention.self.query"),
    ],
)
def test_every_architectures_last_attention_is_found(kind: str, last_query: str) -> None:
    sizes: dict[str, Any] = {"vocab_size": VOCABULARY, "pad_token_id": 0, "max_position_embeddings": 40}
    if kind == "distilbert":
        sizes |= {"dim": 16, "hidden_dim": 32, "n_layers": 2, "n_heads": 2}
    else:
        sizes |= {
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
        }
    model = model_class(kind, "token_classification")(config_class(kind)(**sizes)).eval()
    probe = AttentionProbe(model)
    passed: list[torch.Tensor] = []
    model.get_submodule(last_query).register_forward_hook(lambda module, given, out: passed.append(out))
    model(input_ids=torch.ones(2, 5, dtype=torch.long))
    queries, keys, values = probe.take()
    assert queries.shape == keys.shape == values.shape == (2, 5, 16)
    assert torch.equal(queries, passed[-1])
    assert not torch.equal(queries, values)
    with pytest.raises(LigeroError, match="no query projection"):
        AttentionProbe(torch.nn.Linear(2, 2))


def test_the_loss_of_relations_is_the_mean_over_the_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relations, "relation_loss", lambda *args: torch.tensor(1.0))
    student, teacher = (toy_model("token_classification", seed, layers=2) for seed in (1, 9))
    batch = toy_split("token_classification", 2).batch(np.arange(2), 0)

    class Nothing(GoldObjective):
        def __call__(self, outputs: Any, batch: Batch) -> torch.Tensor:
            return torch.tensor(0.0)

    objective = RelationObjective(Nothing("token_classification"), teacher, "hidden", 2.0)
    outputs = student(**batch.inputs(student), **objective.forward_options)
    assert objective(outputs, batch).item() == 2.0


def test_relations_weigh_what_the_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    kind: Any = "token_classification"
    monkeypatch.setattr("ligero.models.heads.load_selected", lambda *args: toy_model(kind))
    train = toy_split(kind, 2)
    meta = toy_meta(tokens_digest(train))
    learning = StudentLearning(patience=None, relations="hidden", relation_weight=3.0)
    found = with_relations(GoldObjective(kind), meta, Path("models"), task(kind), train, learning)
    assert (found.kind, found.relation_weight) == ("hidden", 3.0)


@pytest.mark.parametrize("kind", ["hidden", "attention"])
def test_a_trial_with_relations_draws_the_student_towards_its_teacher(kind: Any, tmp_path: Path) -> None:
    teacher = toy_model("token_classification", seed=9, hidden=32, layers=2)
    for name, parameter in teacher.named_parameters():
        if name.endswith(("query.weight", "key.weight", "value.weight")):
            parameter.data *= 20.0  # fresh ones relate every token to every other alike
    split, cached, _ = targets_of("token_classification", 2, "first_subword", teacher)

    def with_relations(weight: float) -> Any:
        def make(*args: Any, **options: Any) -> RelationObjective:
            return RelationObjective(DistillationObjective(*args, **options), teacher, kind, weight)

        return make

    genuine = relations.relation_loss
    losses: dict[float, list[float]] = {}
    for weight in (1e-9, 50.0):
        seen: list[float] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(relations, "relation_loss", lambda *args, seen=seen: _kept(genuine(*args), seen))
            curve(
                tmp_path / str(weight),
                "token_classification",
                split,
                cached,
                epochs=15,
                make=with_relations(weight),
            )
        losses[weight] = seen
    assert losses[50.0][0] == losses[1e-9][0]
    assert np.mean(losses[50.0][-6:]) < 0.97 * np.mean(losses[1e-9][-6:])


def _kept(loss: torch.Tensor, seen: list[float]) -> torch.Tensor:
    seen.append(loss.item())
    return loss
