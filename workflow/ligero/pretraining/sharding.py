"""Fully sharded data parallelism (FSDP): weights, gradients and moments dealt out to the processes.

Checkpoints hold whole tensors all the same, so that a run goes on with another number of processes, or unsharded.
A shard is a DTensor; it is known by its method `full_tensor`, because importing its class takes most of a second.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
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


def whole_weights(model: nn.Module, keep: bool = True) -> dict[str, Tensor]:
    """The model's state with whole tensors on the CPU; tied weights stay one tensor. Every process must call it.

    Args:
        keep: False gives an empty dictionary: this process only takes part in the gathering.
    """
    seen: dict[int, Tensor] = {}
    weights = {}
    for name, value in model.state_dict(keep_vars=True).items():
        if id(value) not in seen:
            whole = _whole(value.detach())
            seen[id(value)] = whole.cpu() if keep else torch.empty(0)
        if keep:
            weights[name] = seen[id(value)]
    return weights


def whole_moments(optimizer: Optimizer, keep: bool = True) -> dict[str, Any]:
    """The optimiser's state with whole tensors on the CPU. Every process must call it."""
    state = optimizer.state_dict()
    moments: dict[int, dict[str, Any]] = {}
    for number in sorted(state["state"]):
        values = {name: _whole(value) for name, value in state["state"][number].items()}
        if keep:
            moments[number] = {
                name: value.cpu() if isinstance(value, Tensor) else value for name, value in values.items()
            }
    return {"state": moments, "param_groups": state["param_groups"]}


def load_whole(
    model: nn.Module, optimizer: Optimizer, weights: dict[str, Tensor], moments: dict[str, Any]
) -> None:
    """Load what `whole_weights` and `whole_moments` gave: each process takes its shard of every tensor."""
    current = model.state_dict()
    model.load_state_dict({name: _like(value, current[name]) for name, value in weights.items()})
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    numbers = [number for group in moments["param_groups"] for number in group["params"]]
    of_number = dict(zip(numbers, parameters, strict=True))
    state = {
        number: {
            name: _like(value, of_number[number])
            if isinstance(value, Tensor) and value.shape == of_number[number].shape
            else value
            for name, value in values.items()
        }
        for number, values in moments["state"].items()
    }
    optimizer.load_state_dict({"state": state, "param_groups": moments["param_groups"]})


def _whole(value: Any) -> Any:
    return value.full_tensor() if hasattr(value, "full_tensor") else value


def _like(value: Tensor, reference: Tensor) -> Tensor:
    """`value`, whole in every process, as a shard where `reference` is one."""
    if not hasattr(reference, "full_tensor"):
        return value
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(reference, DTensor)
    value = value.to(reference.device)
    return distribute_tensor(value, reference.device_mesh, reference.placements, src_data_rank=None)
