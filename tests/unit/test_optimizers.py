"""LAMB against its paper's formula, decay groups, schedules."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from ligero.settings.pretraining import Pretraining
from ligero.training.optimizers import Lamb, make_optimizer, parameter_groups, set_learning_rate
from ligero.training.schedules import linear_warmup_decay


def reference_lamb(
    weights: torch.Tensor, gradients: list[torch.Tensor], lr: float, decay: float, corrected: bool
) -> torch.Tensor:
    """You et al. 2020, algorithm 2, one tensor, in double precision; not `corrected`, the moments as they are."""
    x = weights.double().clone()
    m, v = torch.zeros_like(x), torch.zeros_like(x)
    for t, gradient in enumerate(gradients, start=1):
        g = gradient.double()
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        first, second = (m / (1 - 0.9**t), v / (1 - 0.999**t)) if corrected else (m, v)
        r = first / (second.sqrt() + 1e-6) + decay * x
        x = x - lr * (x.norm() / r.norm()) * r
    return x


@pytest.mark.parametrize("corrected", [True, False])
def test_lamb_is_the_papers_formula_or_googles(corrected: bool) -> None:
    torch.manual_seed(0)
    weights = [torch.randn(7, 5), torch.randn(3, 4)]
    gradients = [[torch.randn_like(weight) for _ in range(6)] for weight in weights]
    parameters = [torch.nn.Parameter(weight.clone()) for weight in weights]
    optimizer = Lamb(parameters, lr=0.02, weight_decay=0.01, bias_correction=corrected)
    for step in range(6):
        for parameter, series in zip(parameters, gradients, strict=True):
            parameter.grad = series[step]
        optimizer.step()
    for parameter, weight, series in zip(parameters, weights, gradients, strict=True):
        expected = reference_lamb(weight, series, 0.02, 0.01, corrected)
        torch.testing.assert_close(parameter.detach().double(), expected, rtol=1e-5, atol=1e-6)


def test_lamb_without_adaptation_is_adam_without_decay() -> None:
    torch.manual_seed(0)
    start, gradients = torch.randn(6), [torch.randn(6) for _ in range(5)]
    ours, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    lamb = Lamb([{"params": [ours], "adapt": False, "weight_decay": 0.0}], lr=0.01)
    adam = torch.optim.Adam([theirs], lr=0.01, eps=1e-6)
    for gradient in gradients:
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        lamb.step()
        adam.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_zero_weights_move() -> None:
    parameter = torch.nn.Parameter(torch.zeros(2, 2))
    parameter.grad = torch.ones(2, 2)
    Lamb([parameter], lr=0.1, weight_decay=0.0).step()
    torch.testing.assert_close(parameter.detach(), torch.full((2, 2), -0.1), rtol=1e-4, atol=1e-4)


def test_lamb_state_survives_saving() -> None:
    torch.manual_seed(0)
    start, gradients = torch.randn(3, 3), [torch.randn(3, 3) for _ in range(4)]

    def train(parameter: torch.nn.Parameter, optimizer: Lamb, series: list[torch.Tensor]) -> None:
        for gradient in series:
            parameter.grad = gradient.clone()
            optimizer.step()

    whole = torch.nn.Parameter(start.clone())
    train(whole, Lamb([whole]), gradients)
    first = torch.nn.Parameter(start.clone())
    optimizer = Lamb([first])
    train(first, optimizer, gradients[:2])
    second = torch.nn.Parameter(first.detach().clone())
    resumed = Lamb([second])
    resumed.load_state_dict(optimizer.state_dict())
    train(second, resumed, gradients[2:])
    assert torch.equal(whole, second)


@pytest.mark.parametrize("name", ["lamb", "adamw"])
def test_biases_and_norms_do_not_decay(name: str) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.LayerNorm(3))
    optimizer = make_optimizer(model, name, 0.1, 0.01)  # type: ignore[arg-type]
    decaying, exempt = optimizer.param_groups
    assert decaying["weight_decay"] == 0.01 and [p.ndim for p in decaying["params"]] == [2]
    assert exempt["weight_decay"] == 0.0 and len(exempt["params"]) == 3
    assert len(parameter_groups(model, 0.01, decay_all=True, learning_rate=0.1)) == 1
    set_learning_rate(optimizer, 0.5)
    assert {group["lr"] for group in optimizer.param_groups} == {0.5}


def test_a_recipe_says_whether_lamb_corrects() -> None:
    model = torch.nn.Linear(4, 3)
    assert all(group["bias_correction"] for group in make_optimizer(model, "lamb", 0.1, 0.01).param_groups)
    plain = make_optimizer(model, "lamb", 0.1, 0.01, bias_correction=False)
    assert not any(group["bias_correction"] for group in plain.param_groups)
    with pytest.raises(ValidationError, match="bias_correction: false is for optimizer: lamb"):
        Pretraining(total_steps=1, optimizer="adamw", bias_correction=False)


def test_schedule_rises_and_falls_in_lines() -> None:
    factors = [linear_warmup_decay(step, 4, 10) for step in range(11)]
    assert factors[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert factors[10] == 0.0 and factors[9] == pytest.approx(1 / 6)
    assert linear_warmup_decay(0, 0, 10) == 1.0
