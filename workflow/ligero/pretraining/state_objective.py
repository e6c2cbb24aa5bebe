"""Pretraining by a teacher: the student predicts the teacher's states of the text that it reads, beside masked tokens.

The student sees text with masks, the teacher saw it whole; so masked tokens teach the student to guess from their context what the
teacher knew of them, as in Baevski et al., "data2vec" (ICML 2022), and the others to see what the teacher makes of them (Jiao et al.,
"TinyBERT", Findings of EMNLP 2020, section 3.1; of its losses that of the hidden states, at the last layer). A linear head maps the
student's states to the teacher's; it is part of the running training, and of no saved model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ligero.models.architectures import encoder_of, model_inputs
from ligero.pretraining.mlm_objective import Counts, PretrainingObjective
from ligero.settings.pretraining import StateTeacher

HEAD = "state_head"
"""Name of the linear head in the model."""


class StateObjective(PretrainingObjective):
    """A ...ForMaskedLM model, its error on a teacher's states, and its masked-token loss where that has a weight."""

    def __init__(self, model: nn.Module, lesson: StateTeacher, seed: int, fused: bool = True) -> None:
        super().__init__(model, fused)
        self.only_needed, self.weight, self.dimensions = False, lesson.masked_weight, lesson.dimensions
        config: Any = model.config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            head = nn.Linear(config.hidden_size, lesson.dimensions)
        if not self.weight:
            # Several processes wait for the gradients of everything that is trained.
            encoder = {id(parameter) for parameter in encoder_of(model).parameters()}
            for parameter in model.parameters():
                parameter.requires_grad_(id(parameter) in encoder)
        model.add_module(HEAD, head)

    def forward(  # type: ignore[override]
        self,
        input_ids: Tensor,
        token_type_ids: Tensor,
        positions: Tensor,
        labels: Tensor,
        swapped: Tensor,
        taught: Tensor,
        states: Tensor,
    ) -> tuple[Tensor, ...]:
        """Sums over one micro batch, shapes as in PretrainingBatch.

        Returns:
            Scalars: cross entropy of the masked tokens, right ones (zeros without a weight), and the squared error of the states, a
            mean over their dimensions.
        """
        outputs = encoder_of(self.model)(**model_inputs(self.model.config, input_ids, None, token_type_ids))
        hidden = outputs.last_hidden_state.reshape(-1, outputs.last_hidden_state.shape[-1])
        guessed = getattr(self.model, HEAD)(hidden.index_select(0, taught)).float()
        error = (guessed - states.float()).square().sum() / self.dimensions
        if not self.weight:
            nothing = torch.zeros((), device=error.device)
            return nothing, nothing, error
        return *self._vocabulary_loss(hidden.index_select(0, positions), labels), error

    def mean(self, sums: tuple[Tensor, ...], counts: Counts) -> Tensor:
        return self.weight * sums[0] / max(counts.predictions, 1) + sums[2] / max(counts.lessons, 1)

    def readings(self, sums: Sequence[float], counts: Counts) -> dict[str, float]:
        masked = super().readings(sums, counts) if self.weight else {}
        return {**masked, "state_loss": sums[2] / max(counts.lessons, 1)}

    def total(self, readings: dict[str, float]) -> float:
        return readings["state_loss"] + self.weight * readings.get("mlm_loss", 0.0)
