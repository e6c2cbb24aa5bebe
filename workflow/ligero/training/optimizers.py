"""LAMB, AdamW, and which parameters decay."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class Lamb(Optimizer):
    """LAMB (You et al. 2020, "Large batch optimization for deep learning", algorithm 2), with many tensors a kernel.

    The update of a tensor x is lr * phi(|x|) / |u| * u with u = m^ / (sqrt(v^) + eps) + decay * x, where m^ and v^ are
    Adam's bias-corrected moments and phi is the identity. The ratio is 1 where a norm is zero, and in groups with
    `adapt` False (biases and norms, as Google's ALBERT does). Without `bias_correction` m and v replace m^ and v^, as in
    Google's code.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.01,
        bias_correction: bool = True,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "adapt": True,
            "bias_correction": bias_correction,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        loss = closure() if closure is not None else None
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if parameters:
                group["step"] = group.get("step", 0) + 1
                self._update(group, parameters)
        return loss

    def _update(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        gradients: list[Tensor] = [parameter.grad for parameter in parameters]  # type: ignore[misc]
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter]["exp_avg"] = torch.zeros_like(parameter)
                self.state[parameter]["exp_avg_sq"] = torch.zeros_like(parameter)
        first = _shards([self.state[parameter]["exp_avg"] for parameter in parameters])
        second = _shards([self.state[parameter]["exp_avg_sq"] for parameter in parameters])
        sharded, parameters, gradients = parameters[0], _shards(parameters), _shards(gradients)
        beta1, beta2 = group["betas"]
        torch._foreach_lerp_(first, gradients, 1 - beta1)
        torch._foreach_mul_(second, beta2)
        torch._foreach_addcmul_(second, gradients, gradients, 1 - beta2)
        missing = (1 - beta1 ** group["step"], 1 - beta2 ** group["step"])
        of_first, of_second = missing if group["bias_correction"] else (1.0, 1.0)
        root = torch._foreach_div(second, of_second)
        torch._foreach_sqrt_(root)
        torch._foreach_add_(root, group["eps"])
        update = torch._foreach_div(first, of_first)
        torch._foreach_div_(update, root)
        if group["weight_decay"]:
            torch._foreach_add_(update, parameters, alpha=group["weight_decay"])
        if group["adapt"]:
            sizes = _norms(parameters, sharded)
            lengths = _norms(update, sharded)
            ratios = torch.where((sizes > 0) & (lengths > 0), sizes / lengths, torch.ones_like(sizes))
            torch._foreach_mul_(update, list(ratios.unbind()))
        torch._foreach_add_(parameters, update, alpha=-group["lr"])


def _shards(tensors: list[Tensor]) -> list[Tensor]:
    """This process's part of tensors that FSDP has dealt out; ordinary tensors as they are."""
    return [tensor.to_local() if hasattr(tensor, "to_local") else tensor for tensor in tensors]


def _norms(tensors: list[Tensor] | tuple[Tensor, ...], sharded: Tensor) -> Tensor:
    """Norms of whole tensors, [number], from the parts of this process; `sharded` tells over which processes they are dealt."""
    norms = torch.stack(list(torch._foreach_norm(tensors)))
    if not hasattr(sharded, "to_local"):
        return norms
    squares = norms.square()
    torch.distributed.all_reduce(squares, group=sharded.device_mesh.get_group())  # type: ignore[attr-defined]
    return squares.sqrt()


def decays(name: str, parameter: Tensor) -> bool:
    """Whether weight decay applies: to matrices, not to biases and norms (Devlin et al. 2019)."""
    return parameter.ndim > 1 and not name.endswith("bias")


def parameter_groups(
    model: nn.Module,
    weight_decay: float,
    decay_all: bool = False,
    *,
    learning_rate: float,
    head_factor: float = 1.0,
) -> list[dict[str, Any]]:
    """The groups of an optimiser, by weight decay and by rate; the key `base_rate` is what a schedule scales.

    What decays is also what LAMB adapts.

    Args:
        head_factor: times the rate for the task head, which is every parameter outside the encoder (`base_model_prefix` of
            transformers).
    """
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            in_head = head_factor != 1.0 and not name.startswith(f"{model.base_model_prefix}.")
            rate = learning_rate * head_factor if in_head else learning_rate
            groups.setdefault((decay_all or decays(name, parameter), rate), []).append(parameter)
    return [
        {
            "params": parameters,
            "weight_decay": weight_decay if decaying else 0.0,
            "adapt": decaying,
            "lr": rate,
            "base_rate": rate,
        }
        for (decaying, rate), parameters in groups.items()
    ]


def make_optimizer(
    model: nn.Module,
    name: Literal["lamb", "adamw"],
    learning_rate: float,
    weight_decay: float,
    bias_correction: bool = True,
) -> Optimizer:
    """The optimiser of a pretraining recipe, with fused kernels; epsilon 1e-6 in both, as in BERT's and ALBERT's code.

    Args:
        bias_correction: of LAMB; AdamW always corrects.
    """
    groups = parameter_groups(model, weight_decay, learning_rate=learning_rate)
    if name == "lamb":
        return Lamb(groups, lr=learning_rate, eps=1e-6, bias_correction=bias_correction)
    return torch.optim.AdamW(groups, lr=learning_rate, eps=1e-6, fused=True)


def set_learning_rate(optimizer: Optimizer, learning_rate: float) -> None:
    """Set the rate of every group."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
