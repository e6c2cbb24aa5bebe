"""Early exit: what ALBERT learns after each repetition of its layer, and graphs that a text leaves as soon as it is certain."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from ligero.models.architectures import model_class
from ligero.models.build import make_config
from ligero.settings import jobs
from ligero.settings.jobs import ShardJob
from ligero.settings.tasks import TaskType
from ligero.training.exits import ExitsObjective
from ligero.training.objective import GoldObjective
from ligero.training.shard import GoldObjectives
from ligero.training.steps import enable_gradient_checkpointing
from tests.builders.distillation import LABELS, VOCABULARY, toy_split
from tests.builders.models import small_architecture

TASKS: tuple[TaskType, ...] = ("sequence_classification", "token_classification", "question_answering")


def albert(task_type: TaskType, layers: int = 3) -> Any:
    """A toy whose repetitions answer differently; another depth has the same weights."""
    config = make_config(small_architecture("albert", layers, max_position_embeddings=128), VOCABULARY, 0)
    config.num_labels = 2 if task_type == "question_answering" else len(LABELS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = model_class("albert", task_type)(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.2 * torch.randn_like(parameter)
    return model


@pytest.mark.parametrize("task_type", TASKS)
def test_every_repetition_is_read_as_a_model_of_that_depth_reads_it(task_type: TaskType) -> None:
    split = toy_split(task_type, 2)
    batch = split.batch(np.arange(6), 0)
    gold = GoldObjective(task_type)
    losses = []
    for depth in (1, 2, 3):
        shallow = albert(task_type, depth)
        losses.append(gold(shallow(**batch.inputs(shallow)), batch).item())
    assert len({round(loss, 3) for loss in losses}) == 3
    model, objective = albert(task_type), ExitsObjective(gold, task_type)
    objective.attach(model)
    loss = objective(model(**batch.inputs(model), **objective.forward_options), batch)
    assert loss.item() == pytest.approx((1 * losses[0] + 2 * losses[1] + 3 * losses[2]) / 6, rel=1e-5)
    assert objective.weight(batch) == gold.weight(batch)


def test_recomputed_activations_give_the_same_gradients() -> None:
    plain = albert("token_classification")
    batch = toy_split("token_classification", 2).batch(np.arange(6), 0)
    gradients = []
    for model in (plain, copy.deepcopy(plain)):
        if gradients:
            enable_gradient_checkpointing(model)
            for module in model.modules():  # in training mode, but without dropout
                module.training = not isinstance(module, torch.nn.Dropout)
        objective = ExitsObjective(GoldObjective("token_classification"), "token_classification")
        objective.attach(model)
        objective(model(**batch.inputs(model), **objective.forward_options), batch).backward()
        gradients.append([p.grad for p in model.parameters() if p.grad is not None])
    assert len(gradients[0]) == len(gradients[1]) > 10
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_only_jobs_with_early_exit_know_of_it() -> None:
    fields: dict[str, Any] = {
        "regime": "fine-tuning",
        "model_id": "m",
        "architecture": small_architecture("albert"),
        "num_hidden_layers": None,
        "trials": (),
        "tasks": {},
        "options": {},
        "distillation": None,
    }
    without, with_exits = ShardJob(**fields), ShardJob(**fields, early_exit=True)
    assert "early_exit" not in without.model_dump(mode="json")
    assert with_exits.model_dump(mode="json")["early_exit"] is True
    assert jobs.digest(without) != jobs.digest(with_exits)
    task: Any = type("Task", (), {"type": "token_classification"})
    built = [GoldObjectives(job.early_exit).build("t", task, None) for job in (without, with_exits)]  # type: ignore[arg-type]
    assert [type(objective).__name__ for objective in built] == ["GoldObjective", "ExitsObjective"]
