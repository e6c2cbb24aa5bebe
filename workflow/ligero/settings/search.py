"""Settings of the search over distillation's hyper-parameters, and what one search depends on."""

from __future__ import annotations

from pydantic import Field

from ligero.settings.base import Ids, Settings


class Search(Settings):
    """Optuna studies of loss, alpha, temperature and rate (thesis: 500 and 332 trials); made by the target `searches` only."""

    students: Ids = ()
    """Students of the target `searches`; empty means all."""
    tasks: Ids = ()
    """Tasks of the target `searches`; empty means all."""
    trials: int = Field(500, ge=1)
    """Finished trials to reach in each study, by all its workers together."""
    workers: int = Field(1, ge=1)
    """Jobs that work on one study at the same time; with one worker its outcome depends on nothing but the seed."""
    batch_size: int | None = Field(None, ge=1)
    """Effective batch size of every trial; null takes the first of distillation.grid."""
    epochs: int | None = Field(None, ge=1)
    """Most epochs of a trial, and Hyperband's largest resource; null takes the first of distillation.grid."""
    patience: int | None = Field(None, ge=0)
    """A trial stops after more than this many epochs without a strictly lower validation loss; null is distillation.patience."""
