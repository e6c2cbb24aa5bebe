"""Pretraining by a teacher: the student predicts the teacher's states of the text that it reads, beside masked tokens.

The student sees text with masks, the teacher saw it whole; so masked tokens teach the student to guess from their context what the
teacher knew of them, as in Baevski et al., "data2vec" (ICML 2022), and the others to see what the teacher makes of them (Jiao et al.,
"TinyBERT", Findings of EMNLP 2020, section 3.1; of its losses that of the hidden states, at the last layer). A linear head maps the
student's states to the teacher's; it is part of the running training, and of no saved model. It begins as the best one for the states of
the untrained student: one that begins at random takes hundreds of small steps to say what the embeddings knew before.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ligero.models.architectures import encoder_of, model_inputs
from ligero.pretraining.batches import PretrainingBatch
from ligero.pretraining.mlm_objective import Counts, PretrainingObjective
from ligero.settings.pretraining import StateTeacher

HEAD = "state_head"
"""Name of the linear head in the model."""
HEAD_TOKENS = 1 << 14
"""Tokens that the initial head is fitted to."""
_RIDGE = 1e-3
"""Of that fit, as a share of the mean square of the student's states."""


@torch.no_grad()
def add_fitted_head(model: nn.Module, batch: PretrainingBatch, rows: int) -> None:
    """Add the linear head that predicts the states of `batch` best, by ridge regression, from what `model` makes of it now.

    Args:
        rows: of the batch that are computed at once.
    """
    was_training = model.training
    model.eval()
    squares = products = torch.zeros(())
    for part in batch.micro_batches(rows):
        assert part.taught is not None and part.states is not None
        outputs = encoder_of(model)(**model_inputs(model.config, part.input_ids, None, part.token_type_ids))
        hidden = outputs.last_hidden_state.flatten(0, 1)[part.taught].float()
        hidden = torch.cat([hidden, torch.ones(len(hidden), 1)], dim=1)
        squares = squares + hidden.T @ hidden
        products = products + hidden.T @ part.states.float()
    model.train(was_training)
    ridge = _RIDGE * squares.diagonal().mean() * torch.eye(len(squares))
    solution = torch.linalg.solve(squares + ridge, products)
    head = nn.Linear(len(solution) - 1, solution.shape[1])
    head.weight.copy_(solution[:-1].T)
    head.bias.copy_(solution[-1])
    model.add_module(HEAD, head)


class StateObjective(PretrainingObjective):
    """A ...ForMaskedLM model, its error on a teacher's states, and its masked-token loss where that has a weight.

    Args:
        model: with a head (`add_fitted_head`).
    """

    def __init__(self, model: nn.Module, lesson: StateTeacher, fused: bool = True) -> None:
        super().__init__(model, fused)
        self.only_needed, self.weight, self.dimensions = False, lesson.masked_weight, lesson.dimensions
        if not self.weight:
            # Several processes wait for the gradients of everything that is trained.
            taught = [*encoder_of(model).parameters(), *getattr(model, HEAD).parameters()]
            trained = {id(parameter) for parameter in taught}
            for parameter in model.parameters():
                parameter.requires_grad_(id(parameter) in trained)

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
