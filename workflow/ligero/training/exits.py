"""Learning to answer after every repetition of ALBERT's layer, so that an exported graph may leave the repetitions early.

One head reads what each repetition made, so there are no new parameters (Xie et al., "ELBERT: Fast ALBERT with Confidence-Window
Based Early Exit", ICASSP 2021). Exits are weighted by their depth (Zhou et al., "BERT Loses Patience", NeurIPS 2020, equation 5).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from torch import Tensor, nn

from ligero.settings.tasks import TaskType
from ligero.training.features import Batch
from ligero.training.objective import Objective


def with_exits(objective: Objective, task_type: TaskType, early_exit: bool) -> Objective:
    """The objective itself, or its mean over all exits where a system learns to leave early."""
    return ExitsObjective(objective, task_type) if early_exit else objective


class ExitsObjective:
    """Another objective after every repetition of the layer: the sum of n * loss(exit n), divided by the sum of n.

    Implements `training.objective.Objective`. The last exit is the model's own output.

    Args:
        base: asked once for each exit, e.g. a GoldObjective.
    """

    def __init__(self, base: Objective, task_type: TaskType) -> None:
        self.base, self.task_type = base, task_type
        self.forward_options: Mapping[str, Any] = {**base.forward_options, "output_hidden_states": True}
        self._model: nn.Module | None = None

    def attach(self, model: nn.Module) -> None:
        self.base.attach(model)
        self._model = model

    def weight(self, batch: Batch) -> int:
        return self.base.weight(batch)

    def __call__(self, outputs: Any, batch: Batch) -> Tensor:
        if self._model is None:
            raise RuntimeError("ExitsObjective.attach was not called with the model")
        # Without the embeddings, and without the last, which the model itself has read.
        earlier = outputs.hidden_states[1:-1]
        exits = [*(read_by_head(self._model, states, self.task_type) for states in earlier), outputs]
        losses = [number * self.base(read, batch) for number, read in enumerate(exits, start=1)]
        total: Tensor = sum(losses[1:], losses[0])
        return total / (len(exits) * (len(exits) + 1) / 2)


def read_by_head(model: Any, states: Tensor, task_type: TaskType) -> SimpleNamespace:
    """What an ALBERT with a task head answers where its layer has made `states`, [B, T, width]: `logits`, or `start_logits` and
    `end_logits`, as the model's own outputs."""
    if task_type == "question_answering":
        start, end = model.qa_outputs(states).unbind(-1)
        return SimpleNamespace(start_logits=start, end_logits=end)
    if task_type == "sequence_classification":
        states = model.albert.pooler_activation(model.albert.pooler(states[:, 0]))
    return SimpleNamespace(logits=model.classifier(model.dropout(states)))
