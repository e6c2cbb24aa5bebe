"""From a recipe to what its model minimises."""

from __future__ import annotations

from torch import nn

from ligero.models.fused_activations import use_fused_activations
from ligero.pretraining.masking import predictions_per_row
from ligero.pretraining.mlm_objective import PretrainingObjective
from ligero.pretraining.state_objective import StateObjective
from ligero.settings.pretraining import Pretraining


def make_objective(model: nn.Module, recipe: Pretraining) -> PretrainingObjective:
    """The objective of a recipe; `model` gets the kernels that the recipe asks for, in place."""
    use_fused_activations(model)
    fused = recipe.fused_kernels and not recipe.compile
    if fused and model.config.model_type == "albert":  # type: ignore[union-attr]
        from ligero.models.fast_attention import use_fused_attention

        use_fused_attention(model)
    if recipe.teacher:
        return StateObjective(model, recipe.teacher, fused)
    return PretrainingObjective(
        model, fused, lambda length: predictions_per_row(length, recipe.masked_share) + recipe.cls_words
    )
