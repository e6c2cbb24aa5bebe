"""Distillation losses between a student's and a teacher's logits.

Sources: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (2015), section 2, for soft targets and the
factor T^2 that keeps their gradients comparable with those of hard targets; Ba and Caruana, "Do Deep Nets Really Need to be
Deep?" (2014), for regression on raw logits. The combination and its reductions are those of Speedy Gonzales.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def kl_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 * KL(teacher || student) of softmax(logits / T), summed over classes, mean over distributions (`batchmean`)."""
    return _soft_target_loss(student, teacher, temperature, less_entropy=True)


def ce_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 * cross entropy of the student against the teacher's soft targets, mean over distributions.

    It differs from `kl_loss` by the teacher's entropy, a constant: same gradients, another value.
    """
    return _soft_target_loss(student, teacher, temperature, less_entropy=False)


def mse_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Mean square of the difference of raw logits, over a distribution's finite entries first and then over distributions, so
    that long windows weigh like short ones and micro batches add up; the temperature is ignored."""
    shared = torch.isfinite(teacher) & torch.isfinite(student)
    difference = torch.where(shared, student, 0.0) - torch.where(shared, teacher, 0.0)
    return (difference.square().sum(-1) / shared.sum(-1).clamp(min=1)).mean()


Kind = str
"""One of LOSSES."""

LOSSES: dict[Kind, Callable[[Tensor, Tensor, float], Tensor]] = {
    "kl": kl_loss,
    "ce": ce_loss,
    "mse": mse_loss,
}
"""The setting `distillation.loss` to its function of logits [N, C], [N, C] and temperature; a test compares the names."""


def _soft_target_loss(student: Tensor, teacher: Tensor, temperature: float, *, less_entropy: bool) -> Tensor:
    student_log = torch.log_softmax(student / temperature, dim=-1)
    teacher_log = torch.log_softmax(teacher / temperature, dim=-1)
    target = teacher_log.exp()
    # A class of probability 0 adds nothing (0 * log 0 = 0); without this -inf * 0 would make the sum, or its gradient, NaN.
    present = target > 0
    student_log = torch.where(present, student_log, 0.0)
    if less_entropy:
        per_class = target * (torch.where(present, teacher_log, 0.0) - student_log)
    else:
        per_class = -target * student_log
    return per_class.sum() / student.shape[0] * temperature**2


def distillation_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    kind: Kind,
    temperature: float = 1.0,
) -> Tensor:
    """The loss that draws the student's distributions towards the teacher's, as a scalar; 0 of none, with a gradient of zeros.

    A teacher logit of -inf marks a class without a counterpart on the teacher's side: its target probability is 0 and the rest of
    the teacher's mass is renormalised over the others. A student logit of -inf takes a class (padding) out of the student's
    distribution; the teacher must have -inf there too. `mse` leaves both out.

    Args:
        student_logits: [..., C].
        teacher_logits: [..., C], same shape; carries no gradient.
        kind: one of LOSSES.

    Raises:
        ValueError: shapes that differ, or an unknown kind.
    """
    if student_logits.shape != teacher_logits.shape:
        raise ValueError(
            f"student and teacher logits differ in shape: {tuple(student_logits.shape)} and "
            f"{tuple(teacher_logits.shape)}"
        )
    if kind not in LOSSES:
        raise ValueError(f"unknown distillation loss {kind!r}: expected one of {', '.join(LOSSES)}")
    student, teacher = student_logits.float(), teacher_logits.detach().float()
    student, teacher = student.reshape(-1, student.shape[-1]), teacher.reshape(-1, teacher.shape[-1])
    if student.shape[0] == 0:
        return student_logits.sum() * 0.0
    return LOSSES[kind](student, teacher, temperature)


def combined_loss(gold: Tensor | None, distilled: Tensor | None, alpha: float) -> Tensor:
    """alpha * cross entropy with gold labels + (1 - alpha) * distillation loss; a part of weight 0 may be None."""
    if alpha == 0.0 and distilled is not None:
        return distilled
    if alpha == 1.0 and gold is not None:
        return gold
    if gold is None or distilled is None:
        raise ValueError(f"alpha {alpha} weighs both losses, but one is missing")
    return alpha * gold + (1.0 - alpha) * distilled
