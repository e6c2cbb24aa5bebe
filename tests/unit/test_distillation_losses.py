"""Golden figures of the distillation losses, computed by hand with math only."""

from __future__ import annotations

import math

import pytest
import torch

from ligero.distillation import search
from ligero.distillation.losses import LOSSES, combined_loss, distillation_loss

STUDENT = torch.tensor([[1.0, 2.0, 0.5], [0.0, -1.0, 1.0]])
TEACHER = torch.tensor([[2.0, 1.0, 0.0], [0.5, 0.5, 0.5]])


def softmax(row: list[float], temperature: float) -> list[float]:
    powers = [math.exp(value / temperature) for value in row]
    return [power / sum(powers) for power in powers]


def by_hand(kind: str, temperature: float, rows: list[int]) -> float:
    total = 0.0
    for row in rows:
        p = softmax(TEACHER[row].tolist(), temperature)
        q = softmax(STUDENT[row].tolist(), temperature)
        if kind == "kl":
            total += sum(a * (math.log(a) - math.log(b)) for a, b in zip(p, q, strict=True))
        else:
            total -= sum(a * math.log(b) for a, b in zip(p, q, strict=True))
    return total / len(rows) * temperature**2


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
@pytest.mark.parametrize("kind", ["kl", "ce"])
def test_soft_targets_equal_the_formula(kind: str, temperature: float) -> None:
    loss = distillation_loss(STUDENT, TEACHER, kind, temperature)
    assert loss.item() == pytest.approx(by_hand(kind, temperature, [0, 1]), rel=1e-6)


def test_kl_is_torch_batchmean_times_temperature_squared() -> None:
    expected = 4 * torch.nn.functional.kl_div(
        (STUDENT / 2).log_softmax(-1), (TEACHER / 2).softmax(-1), reduction="batchmean"
    )
    assert distillation_loss(STUDENT, TEACHER, "kl", 2.0).item() == pytest.approx(expected.item(), rel=1e-6)


def test_mse_is_on_raw_logits_and_ignores_the_temperature() -> None:
    expected = (
        sum((s - t) ** 2 for s, t in zip(STUDENT.flatten().tolist(), TEACHER.flatten().tolist(), strict=True))
        / 6
    )
    for temperature in (1.0, 5.0):
        assert distillation_loss(STUDENT, TEACHER, "mse", temperature).item() == pytest.approx(
            expected, rel=1e-6
        )


def test_kl_and_ce_have_the_same_gradient() -> None:
    gradients = []
    for kind in ("kl", "ce"):
        student = STUDENT.clone().requires_grad_()
        distillation_loss(student, TEACHER, kind, 2.0).backward()
        gradients.append(student.grad)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("kind", ["kl", "ce", "mse"])
def test_an_entry_without_counterpart_renormalises_the_teacher_and_gives_finite_gradients(kind: str) -> None:
    infinity = float("inf")
    teacher = torch.tensor([[2.0, -infinity, 0.0, -infinity]])
    student = torch.tensor([[1.0, 0.3, 0.5, -infinity]], requires_grad=True)
    loss = distillation_loss(student, teacher, kind, 1.0)
    loss.backward()
    assert torch.isfinite(student.grad).all() and student.grad[0, 3] == 0
    if kind == "mse":
        assert loss.item() == pytest.approx(((1 - 2) ** 2 + 0.5**2) / 2)
        return
    p = softmax([2.0, 0.0], 1.0)
    q = softmax(
        [1.0, 0.3, 0.5], 1.0
    )  # the student keeps the entry that the teacher lacks, and learns that it is unlikely
    assert student.grad[0, 1] > 0
    entropy = sum(a * math.log(a) for a in p) if kind == "kl" else 0.0
    assert loss.item() == pytest.approx(entropy - p[0] * math.log(q[0]) - p[1] * math.log(q[2]), rel=1e-5)


def test_nothing_left_is_a_zero_with_a_gradient() -> None:
    student = STUDENT.clone().requires_grad_()
    loss = distillation_loss(student[:0], TEACHER[:0], "kl", 1.0)
    loss.backward()
    assert loss.item() == 0.0 and student.grad.abs().sum() == 0


def test_alpha_weighs_gold_against_distilled() -> None:
    gold, distilled = torch.tensor(3.0), torch.tensor(7.0)
    assert combined_loss(gold, distilled, 0.0) is distilled
    assert combined_loss(gold, distilled, 1.0) is gold
    assert combined_loss(gold, distilled, 0.25).item() == pytest.approx(0.25 * 3 + 0.75 * 7)
    with pytest.raises(ValueError, match="one is missing"):
        combined_loss(gold, None, 0.5)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        distillation_loss(STUDENT, TEACHER[:, :2], "kl")


def test_the_setting_names_the_losses_there_are() -> None:
    assert tuple(LOSSES) == search.LOSSES
