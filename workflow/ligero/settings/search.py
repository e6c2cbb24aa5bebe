"""Settings of the search over distillation's hyper-parameters, and what one search depends on."""

from __future__ import annotations

from pydantic import Field

from ligero.settings.base import Ids, Settings


class Search(Settings):
    """Searches over loss, alpha, temperature and learning rate with Optuna (thesis: 500 and 332 trials); target `searches`."""

    students: Ids = ()
    """Ids of the students to search for; empty means all."""
    tasks: Ids = ()
    """Ids of the tasks to search on; empty means all."""
    trials: int = Field(500, ge=1)
    """Finished trials per search, by all of its workers together."""
    workers: int = Field(1, ge=1)
    """Jobs that work on one search at the same time; with a single worker the outcome depends on the seed only."""
    batch_size: int | None = Field(None, ge=1)
    """Effective batch size of every trial; null means the first in distillation.grid."""
    epochs: int | None = Field(None, ge=1)
    """Maximum epochs per trial, and Hyperband's largest resource; null means the first in distillation.grid."""
    patience: int | None = Field(None, ge=0)
    """A trial stops after more than this many epochs without a strictly lower validation loss; null means distillation.patience."""
