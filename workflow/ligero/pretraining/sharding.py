"""Fully sharded data parallelism (FSDP): weights, gradients and moments divided among the processes.

Checkpoints hold whole tensors, so that a run can continue with another number of processes, or unsharded.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    OptimizerStateType,
    StateDictOptions,
    ValueType,
    get_model_state_dict,
    get_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.optim import Optimizer

from ligero.models.architectures import encoder_of, family_of


def shard(objective: nn.Module, device: torch.device, world: int, half: bool = False) -> None:
    """Shard the parameters of a PretrainingObjective in place over all processes; call before the optimiser is made.

    Layers with weights of their own are gathered and let go one by one. ALBERT's shared layer is one unit with everything
    else: gathering it anew at every depth would send the same weights many times.

    Args:
        half: gather the weights in bf16, which halves what is sent and kept; the shards that the optimiser updates, sums of
            gradients and what the processes exchange of them stay fp32. Activations keep the types that autocast gives them.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    mesh = init_device_mesh(device.type, (world,))
    bf16 = torch.bfloat16 if half else None
    policy = MixedPrecisionPolicy(bf16, torch.float32, cast_forward_inputs=False)
    model: Any = objective.model
    layers = family_of(model.config.model_type).layers
    if layers is not None:
        for layer in encoder_of(model).get_submodule(layers.rstrip(".")).children():
            fully_shard(layer, mesh=mesh, mp_policy=policy)
    fully_shard(objective, mesh=mesh, mp_policy=policy, reshard_after_forward=False)


def whole_weights(model: nn.Module, everywhere: bool = False) -> dict[str, Tensor]:
    """The weights with whole tensors: on the CPU in the first process, or on its device in each. Every process must call it."""
    options = StateDictOptions(full_state_dict=True, cpu_offload=not everywhere)
    return cast(dict[str, Tensor], get_model_state_dict(model, options=options))


def whole_state(
    model: nn.Module, optimizer: Optimizer
) -> tuple[dict[str, Tensor], OptimizerStateType | None]:
    """Weights, and moments by parameter name, with whole tensors on the CPU, in the first process.

    Every process must call it. Before the first step there are no moments: None.
    """
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    if not optimizer.state:  # torch would take an empty step to make moments, and LAMB would count it
        return cast(dict[str, Tensor], get_model_state_dict(model, options=options)), None
    weights, moments = get_state_dict(model, optimizer, options=options)
    return cast(dict[str, Tensor], weights), moments


def load_whole_state(
    model: nn.Module, optimizer: Optimizer, weights: dict[str, Tensor], moments: OptimizerStateType | None
) -> None:
    """Load what `whole_state` gave, read by every process, each of which takes its shard of every tensor.

    Without moments the optimiser starts afresh.
    """
    if moments is not None:
        # Not strict: a parameter that never had a gradient has no moments.
        options = StateDictOptions(full_state_dict=True, strict=False)
        set_optimizer_state_dict(model, optimizer, moments, options=options)
    else:
        optimizer.state.clear()
        for group in optimizer.param_groups:
            group.pop("step", None)  # LAMB counts its steps here
    set_model_state_dict(
        model, cast(dict[str, ValueType], weights), options=StateDictOptions(full_state_dict=True)
    )
