"""The state of a running training, as its checkpoints keep it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ligero.pretraining.divergence import WatchState
from ligero.pretraining.metrics import Position
from ligero.pretraining.records import MetricsLine

if TYPE_CHECKING:
    from torch.distributed.checkpoint.state_dict import OptimizerStateType  # slow to import


@dataclass
class Progress:
    """What a run has done so far; part of a checkpoint."""

    step: int = 0
    tokens: int = 0
    """What the weights have seen: a rollback takes its own back."""
    seconds: float = 0.0
    """All that the run took, evaluations, checkpoints and what was thrown away counted."""
    computed_tokens: int = 0
    computing_seconds: float = 0.0
    """Of all steps, thrown away or not, and of nothing but steps: the run's mean speed."""
    first_saved: int | None = None
    """Step of the first checkpoint."""
    rate_scale: float = 1.0
    rollbacks: list[MetricsLine] = field(default_factory=list)
    last: dict[str, float] = field(default_factory=dict)
    validation: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class RunState:
    """Everything that a run continues from, whole tensors on the CPU.

    Attributes:
        model: weights.
        optimizer: moments by parameter name; None before the first step.
        watch: of the DivergenceWatch.
        progress: a copy, which the run does not change.
        metrics: where the metrics file ended.
    """

    model: dict[str, Tensor]
    optimizer: OptimizerStateType | None
    watch: WatchState
    progress: Progress
    metrics: Position

    def plain(self) -> dict[str, object]:
        """Tensors and plain values, for a checkpoint."""
        return {
            "model": self.model,
            "optimizer": self.optimizer,
            "watch": self.watch,
            "progress": dict(vars(self.progress)),
            "metrics": tuple(self.metrics),
        }

    @classmethod
    def of(cls, state: dict[str, Any]) -> RunState:
        """The state that a checkpoint holds."""
        progress, metrics = Progress(**state["progress"]), Position(*state["metrics"])
        return cls(**{**state, "progress": progress, "metrics": metrics})
