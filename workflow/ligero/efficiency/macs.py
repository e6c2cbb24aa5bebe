"""Multiply-accumulate operations of a system, counted by thop under the thesis' conditions."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping

import torch
from torch import nn

from ligero.common.errors import ConfigurationError
from ligero.common.progress import progress
from ligero.efficiency.classifier import build_without_weights, safetensors_bytes
from ligero.efficiency.records import Cost, EfficiencyRecord, SystemCost
from ligero.efficiency.systems import check_length, with_vocabulary
from ligero.efficiency.truncation import exact_speedup, thesis_speedup
from ligero.models.build import count_parameters
from ligero.models.formulas import attention_macs
from ligero.settings.jobs import EfficiencyJob, MeasuredSystem
from ligero.settings.models import Architecture


def count_macs(model: nn.Module, length: int) -> int:
    """MACs of one forward pass over `length` token ids, batch 1, as thop counts them.

    thop hooks linear layers (one MAC a weight used) and layer norms (four operations an element). It sees neither the
    products of attention nor embeddings nor activations; `attention_macs` gives the first. A layer that ALBERT uses
    n times is counted n times. The count depends on shapes alone, so `model` may lie on the meta device, and which ids are
    read plays no part. thop leaves buffers in the model: use it for nothing else afterwards.
    """
    from thop import profile

    ids = torch.zeros((1, length), dtype=torch.long, device=next(model.parameters()).device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # thop compares versions with distutils
        macs, _ = profile(model, inputs=(ids,), verbose=False)
    return int(macs)


def cost_of(architecture: Architecture, labels: int, length: int) -> Cost:
    """Parameters, bytes and MACs of one architecture, from its shapes alone."""
    assert architecture.vocab_size is not None
    model = build_without_weights(architecture, labels)
    return {
        "parameters": count_parameters(model),
        "bytes": safetensors_bytes(model),
        "macs": count_macs(model, length),
        "attention_macs": attention_macs(architecture, length),
        "vocabulary_size": architecture.vocab_size,
    }


def measure(job: EfficiencyJob, sizes: Mapping[str, int]) -> EfficiencyRecord:
    """The cost of every system; systems of the same architecture are counted once.

    Args:
        job: systems and conditions.
        sizes: sizes of the vocabularies that the configuration leaves open, by id.

    Raises:
        ConfigurationError: a vocabulary size is missing, the length exceeds a model's positions, or the reference or every model is left out.
    """
    conditions = job.conditions
    check_length(job.systems, conditions.sequence_length, "efficiency.sequence_length")
    architectures = {_key(system): with_vocabulary(system, sizes) for system in job.systems}
    costs: dict[Architecture, Cost] = {}
    for architecture in progress(
        list(dict.fromkeys(architectures.values())), label="counting MACs", unit="model"
    ):
        costs[architecture] = cost_of(architecture, conditions.labels, conditions.sequence_length)
    if not architectures:
        raise ConfigurationError(
            "models: none is left, so only the corpus and the tasks can be prepared; build the local weights that are missing "
            "(docs/local-weights.md)"
        )
    if ("fine-tuning", conditions.reference) not in architectures:
        raise ConfigurationError(
            f"efficiency.reference: '{conditions.reference}' is left out of this run, so nothing can be compared with it; "
            "name another model"
        )
    reference = costs[architectures["fine-tuning", conditions.reference]]["macs"]
    return {
        "conditions": {
            "counter": "thop",
            "batch_size": 1,
            "sequence_length": conditions.sequence_length,
            "labels": conditions.labels,
            "reference": conditions.reference,
        },
        "rows": list(_rows(job.systems, architectures, costs, reference)),
    }


def _key(system: MeasuredSystem) -> tuple[str, str]:
    return system.regime, system.model_id


def _rows(
    systems: Iterable[MeasuredSystem],
    architectures: Mapping[tuple[str, str], Architecture],
    costs: Mapping[Architecture, Cost],
    reference: int,
) -> Iterable[SystemCost]:
    for system in systems:
        cost = costs[architectures[_key(system)]]
        published_way = thesis_speedup(cost["macs"], reference)
        yield {
            "regime": system.regime,
            "model": system.model_id,
            "name": system.name,
            **cost,
            "speedup": exact_speedup(cost["macs"], reference),
            "thesis_speedup": None if published_way is None else str(published_way),
        }
