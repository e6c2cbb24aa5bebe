"""One optimiser step: micro batches, precision, clipping, the learning rate, and what happens when memory runs out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ligero.common.counter_rng import splitmix64
from ligero.common.errors import LigeroError
from ligero.models.precision import autocast, resolve
from ligero.settings.base import ResolvedPrecision
from ligero.settings.training import TrainingOptions
from ligero.training.features import Batch, EncodedSplit, Ints
from ligero.training.objective import Objective
from ligero.training.optimizers import parameter_groups
from ligero.training.schedules import linear_warmup_decay

_64_BITS = (1 << 64) - 1
_OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
)
"""What messages of torch, CUDA and its libraries say when memory runs out, in lower case."""


def device_name(device: torch.device) -> str:
    """A GPU's model, else the kind of device: what a run's record names."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def training_device() -> torch.device:
    """The GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory really ran out; every other error stays an error."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    # torch.AcceleratorError, which CUDA's own calls raise, is a RuntimeError too.
    return isinstance(error, RuntimeError) and any(sign in text for sign in _OUT_OF_MEMORY)


class StepRunner:
    """Runs optimiser steps of one trial.

    Attributes:
        precision: of the forward passes; the options', resolved for the device, where the caller gives none.
        micro_batch_size: features in a forward pass; halved when memory runs out.
        halvings: what was halved, for the record: [{"step", "from", "to"}].
        loss_sum: sum over steps of their mean loss since it was last taken, on the device.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        options: TrainingOptions,
        *,
        rate: float,
        batch_size: int,
        total_steps: int,
        device: torch.device,
        precision: ResolvedPrecision | None = None,
    ) -> None:
        self.model, self.objective, self.options, self.device = model, objective, options, device
        self.total_steps = total_steps
        self.warmup_steps = round(options.warmup_ratio * total_steps)
        self.micro_batch_size = min(options.micro_batch_size or batch_size, batch_size)
        self.halvings: list[dict[str, int | str]] = []
        self.optimizer = torch.optim.AdamW(
            parameter_groups(
                model,
                options.weight_decay,
                options.decay_all_parameters,
                learning_rate=rate,
                head_factor=options.head_learning_rate_factor,
            ),
            lr=rate,
            fused=True,
        )
        self.precision: ResolvedPrecision = precision or resolve(options.precision, device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.precision == "fp16")
        self.pad_id = int(model.config.pad_token_id or 0)  # type: ignore[union-attr,arg-type]
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.loss_sum = torch.zeros((), device=device)
        self.loss_steps = 0

    def step(self, split: EncodedSplit, rows: Ints, step: int) -> None:
        """One step on the effective batch `rows`; `step` is 0-based over the whole trial.

        Dropout is seeded by the step, so that a resumed trial and one whose micro batch was halved and repeated draw
        what they would have drawn.
        """
        # Before the gradients: what does not fit beside them shows where a smaller micro batch mends it, and never in
        # the middle of an update.
        if not self.optimizer.state:
            allocate_moments(self.optimizer)
        while True:
            self._seed(step)
            try:
                loss = self._gradients(split, rows)
                break
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or self.micro_batch_size == 1:
                    raise
            self._halve(step)
        factor = linear_warmup_decay(step, self.warmup_steps, self.total_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = group["base_rate"] * factor
        if self.options.max_grad_norm is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.parameters, self.options.max_grad_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.loss_sum += loss
        self.loss_steps += 1

    def _seed(self, step: int) -> None:
        """Seed the device's generator; torch.manual_seed would visit every backend, and cost more than a small layer."""
        seed = step_seed(self.options.seed, step)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)
        else:
            torch.default_generator.manual_seed(seed)

    def take_mean_loss(self) -> float:
        """The mean training loss of the steps since this was last called."""
        mean = float(self.loss_sum) / max(1, self.loss_steps)
        self.loss_sum.zero_()
        self.loss_steps = 0
        return mean

    def _gradients(self, split: EncodedSplit, rows: Ints) -> Tensor:
        """Accumulate the gradients of the whole effective batch's mean loss, and return that loss."""
        total = torch.zeros((), device=self.device)
        for batch, share in self._micro_batches(split, rows):
            with autocast(self.precision, self.device):
                outputs = self.model(**batch.inputs(self.model), **self.objective.forward_options)
                loss = self.objective(outputs, batch)
            loss = loss * share if share != 1.0 else loss
            self.scaler.scale(loss).backward()
            total += loss.detach()
        return total

    def _micro_batches(self, split: EncodedSplit, rows: Ints) -> Iterator[tuple[Batch, float]]:
        """Micro batches and their share in the effective batch's mean."""
        if len(rows) <= self.micro_batch_size:
            yield split.batch(rows, self.pad_id).to(self.device), 1.0
            return
        parts = [
            split.batch(rows[start : start + self.micro_batch_size], self.pad_id)
            for start in range(0, len(rows), self.micro_batch_size)
        ]
        weights = [self.objective.weight(part) for part in parts]
        for part, weight in zip(parts, weights, strict=True):
            yield part.to(self.device), weight / max(1, sum(weights))

    def _halve(self, step: int) -> None:
        halved = self.micro_batch_size // 2
        self.halvings.append({"step": step, "from": self.micro_batch_size, "to": halved})
        self.micro_batch_size = halved
        self.optimizer.zero_grad(set_to_none=True)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def allocate_moments(optimizer: torch.optim.AdamW) -> None:
    """Give AdamW the zero moments that it would make at its first step; either all of them or none.

    torch makes them group by group while it updates, so that a lack of memory there leaves some weights a step ahead.
    """
    state = optimizer.state_dict()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state["state"] = {
        number: {
            "step": torch.zeros((), device=parameter.device),
            "exp_avg": torch.zeros_like(parameter),
            "exp_avg_sq": torch.zeros_like(parameter),
        }
        for number, parameter in enumerate(parameters)
    }
    optimizer.load_state_dict(state)


def enable_gradient_checkpointing(model: nn.Module) -> None:
    """Recompute activations in the backward pass instead of keeping them.

    Raises:
        LigeroError: the architecture does not support it.
    """
    if groups := [module for module in model.modules() if type(module).__name__ == "AlbertLayerGroup"]:
        for group in groups:
            _recompute(group)
        return
    if not getattr(model, "supports_gradient_checkpointing", False):
        raise LigeroError(
            f"options.gradient_checkpointing: {type(model).__name__} does not support it; set it to false and lower "
            "micro_batch_size instead."
        )
    model.activation_checkpointing_enable()  # type: ignore[operator]


def _recompute(module: nn.Module) -> None:
    """Keep only the inputs of a module's calls in training; transformers does not know how to for ALBERT's layers."""
    forward = module.forward

    def recomputing(*inputs: Any, **options: Any) -> Any:
        if not (module.training and torch.is_grad_enabled()):
            return forward(*inputs, **options)
        return checkpoint(forward, *inputs, use_reentrant=False, preserve_rng_state=True, **options)

    module.forward = recomputing


def step_seed(seed: int, step: int) -> int:
    """The seed of a step's dropout: all 64 bits differ from those of its neighbours and of other seeds."""
    return int(splitmix64((seed * 0x9E3779B97F4A7C15 + step * 0xD1342543DE82EF95) & _64_BITS))
