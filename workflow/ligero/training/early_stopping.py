"""Early stopping: a trial ends after too many epochs in a row without a strictly lower validation loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass
class EarlyStopping:
    """Counts epochs without progress; its fields are part of a trial's checkpoint.

    Attributes:
        patience: how many epochs in a row may pass without a strictly lower loss; None never stops a trial.
        lowest_loss: of all epochs so far.
        epochs_without_lower_loss: in a row, up to now.
    """

    patience: int | None
    lowest_loss: float = math.inf
    epochs_without_lower_loss: int = 0

    def stops_after(self, losses: Sequence[float]) -> bool:
        """Count an epoch and decide whether the trial ends with it.

        Args:
            losses: the validation losses of the epoch. Without any the epoch does not count; one that is not finite is no progress.
        """
        if losses:
            lowest = min(filter(math.isfinite, losses), default=math.inf)
            if lowest < self.lowest_loss:
                self.lowest_loss, self.epochs_without_lower_loss = lowest, 0
            else:
                self.epochs_without_lower_loss += 1
        return self.patience is not None and self.epochs_without_lower_loss > self.patience
