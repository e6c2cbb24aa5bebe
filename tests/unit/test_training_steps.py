"""One optimiser step: its rate, clipping and dropout; and where memory is short: moments made beforehand, layers computed again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ligero.models.architectures import FAMILIES, model_class
from ligero.models.build import make_config
from ligero.settings.tasks import TaskType
from ligero.settings.training import TrainingOptions
from ligero.training.objective import GoldObjective
from ligero.training.steps import (
    StepRunner,
    allocate_moments,
    enable_gradient_checkpointing,
    is_out_of_memory,
)
from tests.builders.distillation import VOCABULARY, toy_model, toy_split
from tests.builders.models import small_architecture

TYPE: TaskType = "sequence_classification"


def runner(model: nn.Module, **options: Any) -> StepRunner:
    return StepRunner(
        model.train(),
        GoldObjective(TYPE),
        TrainingOptions(**{"max_grad_norm": None, **options}),
        rate=1e-3,
        batch_size=12,
        total_steps=10,
        device=torch.device("cpu"),
    )


def test_a_step_has_the_rate_of_its_place_in_the_schedule() -> None:
    """Up over two of ten steps, then down in a line."""
    split, trained = toy_split(TYPE, 2, 12), runner(toy_model(TYPE), warmup_ratio=0.2)
    rates = []
    for step in (0, 1, 2, 9):
        trained.step(split, np.arange(12), step)
        rates.append(trained.optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.5e-3, 1e-3, 1e-3, 0.125e-3])


def test_gradients_are_clipped_to_the_norm_of_the_options(monkeypatch: pytest.MonkeyPatch) -> None:
    norms = []
    for limit in (None, 0.01):
        trained = runner(toy_model(TYPE), max_grad_norm=limit)

        def note(_: object, trained: StepRunner = trained) -> None:
            gradients = [one.grad for one in trained.parameters if one.grad is not None]
            norms.append(float(nn.utils.get_total_norm(gradients)))

        monkeypatch.setattr(trained.scaler, "step", note)
        trained.step(toy_split(TYPE, 2, 12), np.arange(12), 0)
    assert norms[0] > 0.1 and norms[1] == pytest.approx(0.01, rel=1e-3)


def test_each_step_draws_dropout_of_its_own_and_draws_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    model = toy_model(TYPE)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.5
    trained, losses = runner(model), []
    monkeypatch.setattr(trained.scaler, "step", lambda _: None)  # the weights stay
    for step in (0, 1, 0):
        trained.step(toy_split(TYPE, 2, 12), np.arange(12), step)
        losses.append(trained.take_mean_loss())
    assert losses[0] == losses[2] != losses[1]


def test_a_lack_of_memory_is_known_by_all_its_names() -> None:
    assert is_out_of_memory(torch.AcceleratorError("CUDA error: out of memory"))
    assert is_out_of_memory(
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`")
    )
    assert is_out_of_memory(MemoryError("Unable to allocate 1 TiB for an array"))
    assert not is_out_of_memory(torch.AcceleratorError("CUDA error: an illegal memory access"))


def test_moments_are_those_of_a_first_step_and_made_before_it() -> None:
    split = toy_split(TYPE, 2, 30)
    options: dict[str, Any] = {"weight_decay": 0.01, "decay_all_parameters": False}
    prepared, plain = (runner(toy_model(TYPE), **options) for _ in range(2))
    for one in (prepared, plain):
        one._seed(0)
        one._gradients(split, np.arange(12))
    allocate_moments(prepared.optimizer)
    for one in (prepared, plain):
        one.optimizer.step()
    for weight, other in zip(prepared.parameters, plain.parameters, strict=True):
        assert torch.equal(weight, other)
        first, second = prepared.optimizer.state[weight], plain.optimizer.state[other]
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_moments_that_do_not_fit_leave_nothing_half_made(monkeypatch: pytest.MonkeyPatch) -> None:
    split = toy_split(TYPE, 2, 30)
    tight, plain = (runner(toy_model(TYPE)) for _ in range(2))
    genuine, made = torch.zeros_like, []

    def full(*args: Any, **options: Any) -> torch.Tensor:
        made.append(1)
        if len(made) == 5:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return genuine(*args, **options)

    monkeypatch.setattr(torch, "zeros_like", full)
    with pytest.raises(torch.OutOfMemoryError):
        tight.step(split, np.arange(12), 0)
    monkeypatch.undo()
    assert not tight.optimizer.state and not tight.halvings
    for one in (tight, plain):
        one.step(split, np.arange(12), 0)
    for first, second in zip(tight.parameters, plain.parameters, strict=True):
        assert torch.equal(first, second)


@pytest.mark.parametrize("family", FAMILIES)
def test_gradient_checkpointing_changes_no_gradient(family: str) -> None:
    architecture = small_architecture(family, 3, max_position_embeddings=128, dropout=0.1)
    split, found, calls = toy_split(TYPE, 2, 30), [], []
    for checkpointing in (False, True):
        config = make_config(architecture, VOCABULARY)
        config.num_labels = 3
        torch.manual_seed(1)
        model = model_class(family, TYPE)(config).train()
        if checkpointing:
            enable_gradient_checkpointing(model)
        attention = next(
            m for m in model.modules() if type(m).__name__.endswith(("Attention", "SelfAttention"))
        )
        attention.register_forward_hook(lambda *_: calls.append(1))
        once = runner(model)
        once._seed(0)
        once._gradients(split, np.arange(12))
        found.append({name: value.grad for name, value in model.named_parameters()})
        calls.append(0)
    assert found[0].keys() == found[1].keys()  # what is saved keeps its names
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, atol=0, rtol=0)
    # The second time each layer ran once more in the backward pass; ALBERT's layers are one module.
    plain, recomputed = "".join(map(str, calls)).strip("0").split("0")
    assert len(recomputed) == 2 * len(plain) == (6 if family == "albert" else 2)
