"""torch.compile for batches that come in a few lengths."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ligero.pretraining.batches import LENGTHS
from ligero.settings.pretraining import Pretraining


def compiled_for(
    recipe: Pretraining, module: nn.Module, backend: str | Callable[..., Any] = "inductor"
) -> nn.Module:
    """`module` compiled, one graph for each length of the recipe's batches.

    By default torch makes sizes variables at the second length, which gives more general kernels, and
    after 8 graphs it compiles no more. Here the sizes stay constants, because they are few: a step's length decides the
    number of predictions too. Not with whole words, whose number of predictions differs from batch to batch.
    """
    # Twice as many graphs as lengths may be made: one is also made anew where gradients are off. `recompile_limit` as an argument
    # needs torch 2.12 or later.
    compiled: Any = (
        torch.compile(module, backend=backend)
        if recipe.whole_word
        else torch.compile(  # type: ignore[call-overload]  # its overloads lack recompile_limit
            module, backend=backend, dynamic=False, recompile_limit=2 * LENGTHS
        )
    )
    return compiled
